"""The audit of what runs, on a schedule: the same look as ``signoff audit cluster`` takes, told in metrics and Reports.

1. It changes nothing that runs, and nothing is promoted or refused by it.
2. A look that cannot list the cluster fails as a whole: its figures are those of the look before, and their age shows. An archive that is
   out of reach is no such failure: what could not be told is counted as that.
3. Reports are written where the cluster serves them; where it does not, that is said once. One that cannot be written holds up nothing.
4. A namespace in which nothing runs gets a Report only to replace one that it has.
5. No Kubernetes Events: what is so every hour is no event, and they are gone after an hour.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Final

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff.config import AuditSettings
from signoff.errors import SignoffError
from signoff.operator.audit_metrics import AuditMetrics
from signoff.record.canonical import Json
from signoff.running.judging import Answer, Look, Space, spaces
from signoff.running.listing import Listing
from signoff.running.report import API, LABELS, NAME, Reported
from signoff.verify.reader import Reader

LOG: Final = logging.getLogger("signoff.operator")
_TIMEOUT: Final = 10
_GROUP, _VERSION = API.split("/")


class Stopped(SignoffError):
    """The process ends, and the look with it."""


class Auditor:
    """Looks at what runs in a cluster. One look at a time."""

    def __init__(
        self,
        cluster: str,
        api: client.ApiClient,
        reader: Reader,
        settings: AuditSettings,
        now: Callable[[], datetime],
        metrics: AuditMetrics,
    ) -> None:
        self._cluster = cluster
        self._listing = Listing(api)
        self._custom = client.CustomObjectsApi(api)
        self._reader = reader
        self._settings = settings
        self._now = now
        self._metrics = metrics
        self._stopping = Event()
        self._said = False
        self.pause: Final = settings.everyMinutes * 60.0

    def stop(self) -> None:
        """End the look that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Take a look; what goes wrong is logged and counted."""
        try:
            counts = self._look()
        except Stopped:
            return
        except SignoffError as error:
            LOG.warning("what runs could not be audited: %s", error)
        except Exception:
            LOG.exception("the audit of what runs failed; it is tried again")
        else:
            self._metrics.done(counts)
            told = Counter[str]()
            for (_, answer), number in counts.items():
                told[answer] += number
            LOG.info("audited what runs: %s", ", ".join(f"{number} {answer}" for answer, number in sorted(told.items())) or "nothing")
            return
        self._metrics.failed()

    def _look(self) -> Counter[tuple[str, Answer]]:
        now = self._now()
        look = Look(self._reader, self._cluster, self._settings.exemptions, now)
        counts: Counter[tuple[str, Answer]] = Counter()
        reported_before = self._namespaces_with_reports()
        failed = ""
        for space in spaces(self._listing):
            reported = self._one(look, space, counts, now)
            if reported_before is None or (reported.is_empty and space.name not in reported_before):
                continue
            failed = self._write(space.name, reported.manifest()) or failed
        if failed:
            LOG.warning("%s", failed)
        return counts

    def _one(self, look: Look, space: Space, counts: Counter[tuple[str, Answer]], now: datetime) -> Reported:
        reported = Reported(space, self._cluster, now)
        for told in look.at(self._listing, space):
            if self._stopping.is_set():
                raise Stopped("the process ends")
            counts[space.coverage.word, told.answer] += 1
            reported.add(told)
        return reported

    def _namespaces_with_reports(self) -> frozenset[str] | None:
        """Return the namespaces that have a Report of ours; None where none is to be written (rule 3)."""
        if not self._settings.reports:
            return None
        if self._listing.one(f"/apis/{API}") is None:
            if not self._said:
                LOG.info("this cluster does not serve %s: the audit is told in metrics alone", API)
            self._said = True
            return None
        names: set[str] = set()
        try:
            for found in self._listing.metadata(f"/apis/{API}/reports", LABELS):
                metadata = found.get("metadata")
                if isinstance(metadata, dict) and metadata.get("name") == NAME:
                    names.add(str(metadata.get("namespace")))
        except SignoffError as error:
            LOG.warning("which Reports there are could not be told: %s", error)
        return frozenset(names)

    def _write(self, namespace: str, manifest: dict[str, Json]) -> str:
        """Write a Report whole; return what went wrong, or nothing."""
        try:
            self._custom.patch_namespaced_custom_object(
                _GROUP,
                _VERSION,
                namespace,
                "reports",
                NAME,
                manifest,
                field_manager="signoff-operator",
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=_TIMEOUT,
            )
        except ApiException as error:
            return f"Report {namespace}/{NAME} could not be written: {error.status} {error.reason}"
        except HTTPError as error:
            return f"Report {namespace}/{NAME} could not be written: {type(error).__name__}"
        return ""
