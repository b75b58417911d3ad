"""`signoff request from-mlflow`: the manifest of a promotion from an MLflow registry.

1. The registry is only read. What was resolved, from where and on whose word is told on stderr; the manifest goes to stdout or to a new
   file.
2. What is not known is written ``{FILL-IN: …}``, which admission refuses. The rest is checked here already, by the rules of admission.
3. Nothing is written unless all of it is.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

import click

from signoff.cli import options
from signoff.cli.check_files import require_new, write_both
from signoff.errors import SignoffError

if TYPE_CHECKING:
    from signoff.cli.registry_request import Given

_EXAMPLES: Final = """
signoff request from-mlflow credit-scoring 3 --tracking-uri https://mlflow.bank.example --image-tag-key image --challenger 2 \\
    --explanation-artifact reports/explanation.html --metric auc --metric gini -n credit --environment production \\
    --dataset name=applications-2025h2,version=2026-01-15,role=evaluation,file=applications.parquet \\
    --reason 'Ranks better at a lower default rate.' --out promotion.yaml
signoff request from-mlflow fraud 12 --image registry.bank.example/models/fraud@sha256:4f0a11… --incumbent-alias champion
"""
_FILE: Final = click.Path(path_type=Path)


def _text(name: str, text: str, metavar: str, *, envvar: str | None = None) -> options.Option[Any]:
    return click.option(name, default="", metavar=metavar, help=text, envvar=envvar, show_envvar=envvar is not None)


def _several(name: str, into: str, text: str, metavar: str) -> options.Option[Any]:
    return click.option(name, into, multiple=True, metavar=metavar, help=f"{text} Several times.")


@options.command("from-mlflow", examples=_EXAMPLES)
@click.argument("registered", metavar="MODEL")
@click.argument("number", metavar="VERSION")
@_text("--tracking-uri", "The MLflow server.", "URL", envvar="MLFLOW_TRACKING_URI")
@_text("--registry-uri", "The registry, if it is another server.", "URL", envvar="MLFLOW_REGISTRY_URI")
@_text("--model", "The model's name in the promotion; default: MODEL.", "NAME")
@_text("--name", "Of the ModelPromotion; default: model and version.", "NAME")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Of the ModelPromotion.")
@_text("--image", "The candidate's image, registry/repository@sha256:<digest>.", "IMAGE")
@_text("--image-tag-key", "The tag of a model version that names its image, pinned in the same way.", "KEY")
@_several("--image-of", "image_of", "The image of another version.", "VERSION=IMAGE")
@click.option("--index", type=_FILE, metavar="FILE", help="The bytes of the image index, if the digest is an index.")
@_text("--incumbent", "The version that is live now; with --archive it must be what the archive says.", "VERSION")
@_text("--incumbent-alias", "A hint which version is live: an alias can be moved, and is resolved now.", "ALIAS")
@_several("--challenger", "challengers", "A further version to show beside.", "VERSION")
@_several("--metric", "metrics", "Show this metric; default: all of the runs.", "NAME")
@_several("--artifact", "artifacts", "Name this file or folder of the model; default: all of its files.", "PATH")
@click.option(
    "--max-size", type=click.IntRange(1, 1 << 30), default=16384, show_default=True, metavar="MIB", help="Most to fetch of the model."
)
@_several("--dataset", "datasets", "Data that the figures rest on: name=…,version=…,role=…, and file=… or digest=sha256:….", "FIELDS")
@_text("--explanation-artifact", "The report, in the run's artefacts: .html, .md or .txt.", "PATH")
@_text("--explanation-url", "Where the operator fetches the same bytes; default: in the manifest, or in a ConfigMap.", "URL")
@_text("--author", "Who made this model version; default: as the registry claims. They cannot approve it.", "WHO")
@_text("--reason", "Why it shall be promoted.", "TEXT")
@_text("--environment", "Where it shall run.", "NAME")
@_several("--target-cluster", "clusters", "Default: --cluster.", "NAME")
@_several("--target-namespace", "namespaces", "Default: the namespace of the ModelPromotion.", "NAME")
@_text("--valid-for", "When the promotion expires, in hours, such as 720h; default: never.", "HOURS")
@click.option("--on-expiry", type=click.Choice(["", "deny-new-rollouts", "deny-all"]), default="", help="What is refused then.")
@options.cluster(required=False)
@options.archive(required=False)
@options.trust(required=False)
@click.option("--out", type=_FILE, metavar="FILE", help="Where the manifest is written; a new file. Default: stdout.")
def from_mlflow(registered: str, number: str, **given: Unpack[Given]) -> int:
    """Write the manifest of a promotion for VERSION of the registered MODEL.

    Figures come from the versions' runs; files and report are fetched and hashed. What the registry cannot give stands as {FILL-IN: …}, and
    admission refuses the manifest until it is filled in. Nothing in the registry is changed.
    """
    _require_client()
    _require_sense(given)
    if given["out"] is not None:
        require_new(given["out"])
    from signoff.cli.registry_request import Drafted  # noqa: PLC0415 - the registry's client takes seconds to import

    request = Drafted(registered, number, given)
    text = request.text()
    if given["out"] is not None:
        write_both((given["out"], text.encode()))
    else:
        click.echo(text, nl=False)
    request.tell()
    return 0


def _require_client() -> None:
    if find_spec("mlflow") is None:
        what = "needs mlflow-skinny, which is not installed"
        raise SignoffError(what, "signoff request from-mlflow", "pip install 'signoff[mlflow]'")


def _require_sense(given: Given) -> None:
    if not given["tracking_uri"]:
        raise SignoffError("is missing", where="--tracking-uri", mend="name the MLflow server, or set MLFLOW_TRACKING_URI")
    if given["incumbent"] and given["incumbent_alias"]:
        raise SignoffError("is given beside --incumbent", where="--incumbent-alias", mend="give one of them")
    if given["explanation_url"] and not given["explanation_artifact"]:
        mend = "give --explanation-artifact too, or fill both in later"
        raise SignoffError("says where a report is, and not which", where="--explanation-url", mend=mend)
