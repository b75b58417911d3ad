"""What stands in the registry of the tests: three versions of a small model and their runs, and others gone wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signoff.record.values import sha256

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

MODEL = "credit-scoring"
REPORT = "<h1>Credit scoring</h1>\n<p>Ranks better.</p>\n"
LONG = "# A long report\n\n" + "Ranks better, at a lower default rate.\n" * 1000
AUC = (0.1 + 0.2, 0.8127, 0.79)


def image(number: int) -> str:
    return f"registry.bank.example/models/credit-scoring@{sha256(b'image %d' % number)}"


@dataclass(frozen=True)
class Shelf:
    """``runs`` by version of `MODEL`; ``others`` by the name of a model that has one version, with its run."""

    runs: dict[str, str]
    others: dict[str, str]
    files: dict[str, bytes]


def fill(url: str, folder: Path) -> Shelf:
    """Register everything, as a team would: train, log, register."""
    import mlflow

    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("credit")
    client = mlflow.MlflowClient(url)
    client.create_registered_model(MODEL)
    runs = {}
    for number, auc in enumerate(AUC, 1):
        with mlflow.start_run() as run:
            mlflow.log_metrics({"auc": auc, "gini": 2 * auc - 1, "rows": 1500, "tiny": 1e-7, "huge": 1e22})
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            model = _trained(mlflow) if number == 3 else None
        runs[str(number)] = run.info.run_id
        source, model_id = (model.model_uri, model.model_id) if model else (f"{run.info.artifact_uri}/model", None)
        client.create_model_version(MODEL, source, run.info.run_id, tags={"image": image(number)}, model_id=model_id)
    client.log_inputs(runs["3"], datasets=[_dataset("evaluation"), _dataset("training")])
    client.log_text(runs["3"], REPORT, "reports/explanation.html")
    client.log_text(runs["3"], LONG, "reports/long.md")
    client.set_registered_model_alias(MODEL, "champion", "1")
    served = stored(folder, client.get_model_version_download_uri(MODEL, "3"))
    files = {str(path.relative_to(served)): path.read_bytes() for path in served.rglob("*") if path.is_file()}
    return Shelf(runs, _others(client, folder, runs["1"]), files)


def stored(folder: Path, address: str) -> Path:
    """Where the server of this folder keeps the artefacts of an address."""
    return folder / "artifacts" / address.partition(":/")[2]


def _trained(mlflow: Any) -> Any:
    class Scores(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
        def predict(self, model_input: list[float]) -> list[float]:
            return [1 / (1 + 2.718**-one) for one in model_input]

    return mlflow.pyfunc.log_model(name="model", python_model=Scores(), pip_requirements=["cloudpickle"])


def _dataset(context: str) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    logged = Dataset(name=f"{context}-2025h2", digest="ba7cd68f", source_type="code", source="{}")
    return DatasetInput(logged, [InputTag("mlflow.data.context", context)])


def _others(client: Any, folder: Path, run: str) -> dict[str, str]:
    """Register the versions that something is wrong with."""
    from mlflow.entities import Metric

    experiment = client.get_run(run).info.experiment_id
    found = {}

    def register(name: str, metrics: dict[str, float], files: dict[str, bytes] | None = None) -> str:
        made = client.create_run(experiment)
        number, source = made.info.run_id, stored(folder, f"{made.info.artifact_uri}/model")
        client.log_batch(number, [Metric(key, value, 1, 0) for key, value in metrics.items()])
        for path, content in (files or {"model.bin": b"weights"}).items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(content)
        client.set_terminated(number)
        client.create_registered_model(name)
        client.create_model_version(name, f"{made.info.artifact_uri}/model", number, tags={"image": image(1)})
        found[name] = number
        return str(number)

    register("thousands", {f"metric {one:04}": one / 7 for one in range(1000)})
    register("broken", {"auc": 0.8, "nan": float("nan"), "inf": float("inf"), "small": 1e-200})
    register("bare", {})
    register("Credit Scoring", {"auc": 0.8})
    register("many-files", {"auc": 0.8}, {f"shards/{one:02}.bin": b"%d" % one for one in range(65)})
    register("large", {"auc": 0.8}, {"model.bin": bytes(3 * 1024 * 1024), "notes.txt": b"small"})
    client.create_registered_model("bucketed")
    client.create_model_version("bucketed", "s3://models/bucketed", found["bare"], tags={"image": image(1)})
    client.delete_run(register("deleted", {"auc": 0.8}))
    client.create_registered_model("runless")
    client.create_model_version("runless", "s3://models/runless", tags={"image": image(1)})
    return found
