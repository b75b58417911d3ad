from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from archive_fixture import Site
from asking import DATA, Asking
from mlflow_server import MlflowServer
from relay import Relay
from shelf import AUC, LONG, MODEL, REPORT, Shelf, image

from signoff.record.request import read_spec
from signoff.record.values import sha256


def test_with_everything_given_admission_takes_it(asking: Asking, shelf: Shelf) -> None:
    manifest = asking.manifest(challenger=["2"], incumbent="1", valid_for="720h", on_expiry="deny-new-rollouts")
    spec = read_spec(manifest["spec"])
    assert manifest["metadata"] == {"name": "credit-scoring-3", "namespace": "credit"}
    assert (spec.model.name, spec.model.version, spec.model.image) == (MODEL, "3", image(3))
    assert spec.model.incumbent is not None
    assert (spec.model.incumbent.version, spec.model.incumbent.digest) == ("1", sha256(b"image 1"))
    assert spec.comparison.challengers is not None
    assert [one.version for one in spec.comparison.challengers] == ["2"]
    assert (spec.validFor, spec.onExpiry) == ("720h", "deny-new-rollouts")
    assert [(one.name, one.digest) for one in spec.datasets] == [("applications-2025h2", sha256(DATA))]
    assert spec.explanation.source.inline == REPORT
    assert (spec.explanation.mediaType, spec.explanation.digest) == ("text/html", sha256(REPORT.encode()))


def test_figures_are_the_shortest_decimals_of_the_doubles(asking: Asking) -> None:
    spec = read_spec(asking.manifest(challenger=["2"], incumbent="1")["spec"])
    assert {one.name: one.value for one in spec.comparison.candidate.metrics} == {
        "auc": "0.79", "gini": repr(2 * AUC[2] - 1), "huge": "1e+22", "loss": repr(1 / 3), "rows": "1500", "tiny": "1e-07",
    }  # fmt: skip
    assert spec.comparison.incumbent is not None
    assert next(one.value for one in spec.comparison.incumbent.metrics if one.name == "auc") == "0.30000000000000004"


def test_metrics_can_be_chosen(asking: Asking) -> None:
    spec = read_spec(asking.manifest(metric=["gini", "auc"], challenger="2")["spec"])
    assert [one.name for one in spec.comparison.candidate.metrics] == ["gini", "auc"]


def test_of_several_steps_the_last_is_taken_and_told(asking: Asking) -> None:
    assert "of version 3 the last of several steps was taken: loss (2)" in flat(asking.run().err)


def test_each_file_of_the_model_is_an_artefact_by_the_digest_of_its_bytes(asking: Asking, shelf: Shelf) -> None:
    artifacts = asking.manifest()["spec"]["model"]["artifacts"]
    assert {"MLmodel", "python_model.pkl", "requirements.txt"} <= shelf.files.keys()
    assert {one["name"]: one["digest"] for one in artifacts} == {path: sha256(data) for path, data in shelf.files.items()}


def test_files_and_folders_can_be_chosen(asking: Asking) -> None:
    (one,) = asking.manifest(artifact="MLmodel")["spec"]["model"]["artifacts"]
    assert one["name"] == "MLmodel"
    shards = asking.manifest("many-files", "1", artifact=["shards/07.bin", "shards/07.bin"], explanation_artifact=None)
    assert shards["spec"]["model"]["artifacts"] == [{"name": "shards/07.bin", "digest": sha256(b"7")}]


def test_a_folder_means_the_files_below_it(asking: Asking) -> None:
    large = asking.manifest("large", "1", artifact="notes.txt", explanation_artifact=None)
    assert large["spec"]["model"]["artifacts"] == [{"name": "notes.txt", "digest": sha256(b"small")}]
    told = asking.run("many-files", "1", artifact="shards", explanation_artifact=None).err
    assert "has 65 files" in told


def test_what_was_resolved_is_told_with_whose_word_it_is(asking: Asking, shelf: Shelf) -> None:
    told = flat(asking.run(challenger="2", incumbent_alias="champion").err)
    assert asking.url in told
    for run in shelf.runs.values():
        assert run in told
    assert "champion points to version 1 now. It can be moved at any time: the manifest names the version" in told
    assert "It is a claim, and nobody has verified it" in told
    assert "by its tag image, which can be changed" in told
    assert "to be filled in" not in told


def test_what_is_not_known_is_a_place_to_fill_in_and_told(asking: Asking) -> None:
    unknown: dict[str, None] = dict.fromkeys(("namespace", "environment", "target_cluster", "reason", "dataset", "explanation_artifact"))
    ran = asking.run(**unknown)
    text = ran.out
    places = re.findall(r"FILL-IN: ", text)
    told = flat(ran.err).partition("to be filled in:")[2]
    paths = ["metadata.namespace", "spec.target.environment", "spec.target.clusters[0]", "spec.target.namespaces[0]", "spec.reason",
             "spec.explanation.digest", "spec.explanation.source.url", "spec.datasets[0].version", "spec.datasets[0].digest"]  # fmt: skip
    assert len(places) == len(paths)
    assert all(path in told for path in paths)


def test_a_logged_dataset_is_named_and_its_short_digest_is_none(asking: Asking) -> None:
    ran = asking.run(dataset=None)
    (dataset,) = yaml.safe_load(ran.out)["spec"]["datasets"]
    assert (dataset["name"], dataset["role"]) == ("evaluation-2025h2", "evaluation")
    assert dataset["digest"] == "FILL-IN: sha256: of its content"
    assert "ba7cd68f" in dataset["version"]
    assert "the run has logged training-2025h2 (training): not taken" in flat(ran.err)


def test_a_long_report_goes_into_a_config_map(asking: Asking) -> None:
    promotion, config_map = yaml.safe_load_all(asking.run(explanation_artifact="reports/long.md").out)
    spec = read_spec(promotion["spec"])
    assert spec.explanation.source.configMap is not None
    assert config_map["metadata"] == {"name": spec.explanation.source.configMap.name, "namespace": "credit"}
    assert config_map["data"] == {"long.md": LONG}
    assert (spec.explanation.mediaType, spec.explanation.digest) == ("text/markdown", sha256(LONG.encode()))


def test_a_report_can_be_fetched_from_elsewhere_by_its_digest(asking: Asking) -> None:
    url = "https://reports.bank.example/credit-scoring/3.html"
    spec = read_spec(asking.manifest(explanation_url=url)["spec"])
    assert (spec.explanation.source.url, spec.explanation.digest) == (url, sha256(REPORT.encode()))


def test_an_image_can_be_given_for_each_version(asking: Asking) -> None:
    other = f"registry.bank.example/m@{sha256(b'other')}"
    spec = read_spec(asking.manifest(image_tag_key=None, image=image(3), image_of=f"2={other}", challenger="2")["spec"])
    assert spec.model.image == image(3)
    assert spec.comparison.challengers is not None
    assert spec.comparison.challengers[0].digest == sha256(b"other")


def test_a_challenger_without_a_known_image_is_filled_in(asking: Asking) -> None:
    ran = asking.run(image_tag_key=None, image=image(3), challenger="2")
    assert yaml.safe_load(ran.out)["spec"]["comparison"]["challengers"][0]["digest"] == "FILL-IN: sha256: of the image of version 2"
    assert "spec.comparison.challengers[0].digest" in ran.err


def test_it_is_written_to_a_new_file_and_never_over_another(asking: Asking, tmp_path: Path) -> None:
    out = tmp_path / "promotion.yaml"
    ran = asking.run(out=str(out))
    assert (ran.code, ran.out) == (0, "")
    read_spec(yaml.safe_load(out.read_text(encoding="utf-8"))["spec"])
    before = out.read_bytes()
    assert "is there already, and nothing is overwritten" in asking.run(out=str(out)).err
    assert out.read_bytes() == before


def test_the_registry_is_only_read(asking: Asking, server: MlflowServer, relay: Relay) -> None:
    asking.manifest()  # what a server makes at its first answers is made
    before = server.state()
    asking.url = relay.url
    asking.manifest(challenger="2", incumbent_alias="champion")
    assert server.state() == before
    assert len(relay.requests) > 10
    assert [(method, path) for method, path, _ in relay.requests if method != "GET" and "/search" not in path] == []


def test_the_archive_says_what_is_live(asking: Asking, site: Site) -> None:
    promote(site, "2", image(2))
    manifest = asking.manifest(archive=True)
    spec = read_spec(manifest["spec"])
    assert spec.model.incumbent is not None
    assert (spec.model.incumbent.version, spec.model.incumbent.digest) == ("2", sha256(b"image 2"))
    assert spec.comparison.incumbent is not None
    assert next(one.value for one in spec.comparison.incumbent.metrics if one.name == "auc") == "0.8127"


def test_the_archive_goes_before_an_alias(asking: Asking, site: Site) -> None:
    promote(site, "2", image(2))
    ran = asking.run(archive=True, incumbent_alias="champion")
    assert yaml.safe_load(ran.out)["spec"]["model"]["incumbent"]["version"] == "2"
    assert "the archive says that 2 is live there: the alias goes for nothing" in flat(ran.err)


def test_the_archive_goes_before_a_tag(asking: Asking, site: Site) -> None:
    promote(site, "2", image(7))
    ran = asking.run(archive=True)
    assert yaml.safe_load(ran.out)["spec"]["model"]["incumbent"]["digest"] == sha256(b"image 7")
    assert f"the archive's {sha256(b'image 7')} is what runs" in flat(ran.err)


@pytest.mark.parametrize("version", ["2.3.0", "99"])
def test_what_is_live_and_unknown_to_the_registry_is_shown_with_figures_to_fill_in(asking: Asking, site: Site, version: str) -> None:
    promote(site, version, image(7))
    ran = asking.run(archive=True)
    incumbent = yaml.safe_load(ran.out)["spec"]["comparison"]["incumbent"]
    assert (incumbent["version"], incumbent["digest"]) == (version, sha256(b"image 7"))
    assert "FILL-IN" in json.dumps(incumbent["metrics"])
    assert f"{version}, live as the archive says; no figures" in flat(ran.err)


def test_another_incumbent_than_the_archives_is_refused(asking: Asking, site: Site) -> None:
    assert "names 1, and the archive says that nothing is live there" in asking.run(archive=True, incumbent="1").err
    promote(site, "2", image(2))
    assert "names 1, and the archive says that 2 is live there" in asking.run(archive=True, incumbent="1").err
    assert asking.run(archive=True, incumbent="2").code == 0


def test_it_says_when_the_archive_knows_of_nothing_live(asking: Asking) -> None:
    ran = asking.run(archive=True, incumbent_alias="champion")
    assert "incumbent" not in yaml.safe_load(ran.out)["spec"]["model"]
    assert "none: the archive knows nothing that is live there" in flat(ran.err)


def promote(site: Site, version: str, pinned: str) -> None:
    def change(spec: dict[str, dict[str, object]]) -> None:
        spec["model"].update(version=version, image=pinned)
        spec["comparison"]["candidate"].update(version=version, digest=pinned.partition("@")[2])  # type: ignore[attr-defined]
        for holder in (spec["model"], spec["comparison"]):
            holder.pop("incumbent", None)

    site.decided(site.frozen(change))


def flat(text: str) -> str:
    return " ".join(text.split())
