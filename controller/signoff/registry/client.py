"""Asking an MLflow registry, through its own client. It is only ever read.

1. A registry is reached by http or https, and its address holds no password. Redirects are not followed: an address would choose another,
   and take the caller's token along.
2. What is answered is what was asked for: a version that calls itself otherwise is refused.
3. A run that was deleted, and a version that names no run, have nothing that could be shown.
4. Of a metric that was logged several times the last is taken, as the registry gives it: of the highest step, or the latest.
5. The client's own reports to its makers are off, and what it would log on stderr: what went wrong is one line, and ours.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from signoff.errors import SignoffError
from signoff.registry.words import plain_name

# Read when the client is imported or at each request. What a caller has set stays, but for the first two.
os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_HTTP_REDIRECTS": "false"})
for _name, _value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
}.items():
    os.environ.setdefault(_name, _value)

import mlflow  # noqa: E402 - which sets its logging up
from boto3.exceptions import Boto3Error  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402
from google.protobuf.json_format import ParseError  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from requests import HTTPError, RequestException  # noqa: E402

logging.getLogger(mlflow.__name__).setLevel(logging.CRITICAL + 1)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_ABSENT: Final = re.compile(r"not found|No such|does not exist", re.IGNORECASE)
_UNAUTHORIZED: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})
_LOG_IN: Final = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, of somebody who may read there"

_BUCKET: Final = "check AWS_ACCESS_KEY_ID and what else reaches the bucket; for a store of your own MLFLOW_S3_ENDPOINT_URL"


class Missing(SignoffError):
    """The registry has no such thing, or nothing of it that could be shown."""


@dataclass(frozen=True)
class Version:
    """A model version as the registry gives it. ``user`` is who registered it, as the client said: a claim; often empty."""

    name: str
    number: str
    run: str
    user: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """The last value of a metric, and the step at which it was logged."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class Input:
    """A dataset that a run has logged. ``digest`` is MLflow's own, short and no sha256."""

    name: str
    digest: str
    context: str


@dataclass(frozen=True)
class Run:
    """A run. ``user`` is who ran the client, as that said: a claim. ``artifacts`` is where its artefacts lie."""

    id: str
    user: str
    artifacts: str
    metrics: tuple[Metric, ...]
    inputs: tuple[Input, ...]


class Registry:
    """A registry and its tracking server, by their addresses."""

    def __init__(self, tracking: str, registry: str = "") -> None:
        self.tracking: Final = _address(tracking, "--tracking-uri")
        self.registry: Final = _address(registry, "--registry-uri") if registry else self.tracking
        self._client = MlflowClient(tracking_uri=self.tracking, registry_uri=self.registry)

    def version(self, name: str, number: str) -> Version:
        """Return a model version; `Missing` where there is none."""
        if not _NUMBER.fullmatch(number):
            mend = "name it as the registry counts it, such as 3; an alias can be moved"
            raise Missing(f"{number[:80]!r} is no number of a model version", where=name, mend=mend)
        with told(self.registry, f"the registry has no version {number} of the model {name}", "correct the name or the version"):
            found = self._client.get_model_version(name, number)
        return self._checked(found, name, number)

    def by_alias(self, name: str, alias: str) -> Version:
        """Return the model version to which an alias points now; `Missing` where there is none."""
        with told(self.registry, f"the model {name} has no alias {alias}", "correct the alias, or name the version"):
            found = self._client.get_model_version_by_alias(name, alias)
        number = str(found.version)
        if not _NUMBER.fullmatch(number):
            raise SignoffError(f"the alias {alias} points to no version: {number[:80]!r}", where=self.registry, mend="name the version")
        return self._checked(found, name, number)

    def run(self, version: Version) -> Run:
        """Return the run of a model version (rules 3 and 4); `Missing` where there is none to show."""
        where = f"{version.name} {version.number}"
        if not version.run:
            mend = "register it from a run, or draft the promotion by hand: signoff draft"
            raise Missing("names no run, and figures and reports are a run's", where=where, mend=mend)
        mend = "restore it, or register the model from a run that stays"
        with told(self.tracking, f"the run {version.run} of {where} is not there", mend):
            found = self._client.get_run(version.run)
            if str(found.info.run_id) != version.run:
                raise SignoffError(f"asked for the run {version.run}, it gives another", where=self.tracking, mend="look who answers there")
            if found.info.lifecycle_stage != "active":
                mend = f"restore it: mlflow runs restore --run-id {version.run}"
                raise Missing(f"its run {version.run} was deleted", where=where, mend=mend)
            logged = found.inputs.dataset_inputs if found.inputs else ()
            return Run(
                version.run,
                str(found.info.user_id or found.data.tags.get("mlflow.user", "")),
                str(found.info.artifact_uri),
                # Its last values with their steps are public in this form alone.
                tuple(Metric(one.key, one.value, one.step) for one in found.data.to_proto().metrics),
                tuple(_input(one.dataset.name, one.dataset.digest, one.tags) for one in logged),
            )

    def files_of(self, version: Version) -> str:
        """Return where the files of a model version lie."""
        with told(self.registry, f"it does not say where the files of {version.name} {version.number} lie", "register the version anew"):
            return str(self._client.get_model_version_download_uri(version.name, version.number))

    def _checked(self, found: object, name: str, number: str) -> Version:
        answered = (getattr(found, "name", None), str(getattr(found, "version", None)))
        if answered != (name, number):
            what = f"asked for {name} {number}, it gives {str(answered[0])[:80]!r} {answered[1][:80]!r}"
            raise SignoffError(what, where=self.registry, mend="look who answers there")
        status = str(getattr(found, "status", ""))
        if status != "READY":
            raise SignoffError(f"is not ready, but {status}", where=f"{name} {number}", mend="wait, or register it anew")
        tags = getattr(found, "tags", None) or {}
        return Version(name, number, str(getattr(found, "run_id", None) or ""), str(getattr(found, "user_id", None) or ""), dict(tags))


def _input(name: str, digest: str, tags: list[object]) -> Input:
    context = next((str(getattr(tag, "value", "")) for tag in tags if getattr(tag, "key", "") == "mlflow.data.context"), "")
    for one in (name, digest, context or "none"):
        try:
            plain_name(one)
        except ValueError as error:
            raise SignoffError(f"{error}", where=f"logged dataset {one[:80]!r}", mend="log it under a plain name") from None
    return Input(name, digest, context)


def _address(text: str, option: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        mend = "name the server's address, such as https://mlflow.bank.example"
        raise SignoffError("is no http:// or https:// address of an MLflow server", where=option, mend=mend)
    if "@" in parts.netloc:
        raise SignoffError("holds a password", where=option, mend=f"leave it out, and {_LOG_IN}")
    return text.rstrip("/")


@contextmanager
def told(where: str, missing: str, mend: str) -> Iterator[None]:
    """Turn what goes wrong at the registry into one line: what is missing, who is not let in, what is out of reach, what is no answer."""
    try:
        yield
    except MlflowException as error:
        raise _explained(error, where, missing, mend) from None
    except HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 404:
            raise Missing(missing, where=where, mend=mend) from None
        if status in {401, 403}:
            raise SignoffError(f"does not let us in ({status})", where=where, mend=_LOG_IN) from None
        raise SignoffError(f"answers {status}", where=where, mend="see the server's log, and try again") from None
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise SignoffError(f"the bucket does not give it: {type(error).__name__}", where=where, mend=_BUCKET) from None
    except RequestException as error:
        raise _out_of_reach(where, error) from None
    except (ParseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignoffError(f"gives no answer of MLflow's: {type(error).__name__}", where=where, mend="look who answers there") from None


def _explained(error: MlflowException, where: str, missing: str, mend: str) -> SignoffError:
    code, message = str(error.error_code), " ".join(str(error).split())
    if "failed with exception" in message or "failed with timeout" in message:
        return _out_of_reach(where, error)
    if code in _UNAUTHORIZED:
        return SignoffError(f"does not let us in ({code})", where=where, mend=_BUCKET if where.startswith("s3:") else _LOG_IN)
    if code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and _ABSENT.search(message)):
        return Missing(missing, where=where, mend=mend)
    return SignoffError(f"answers {message[:200]}", where=where, mend="see the server's log, and try again")


def _out_of_reach(where: str, error: Exception) -> SignoffError:
    failed = re.search(r"too many (\d+) error", str(error))
    if failed:
        return SignoffError(f"answers {failed[1]}", where=where, mend="see the server's log, and try again")
    reason = re.search(r"Connection refused|Name or service not known|timed out|certificate verify failed", str(error))
    told_why = f" ({reason[0]})" if reason else ""
    return SignoffError(f"is out of reach{told_why}", where=where, mend="check --tracking-uri and --registry-uri, and that the server runs")
