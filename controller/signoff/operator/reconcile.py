"""From a ModelPromotion to its outcome: what is done each time that something may have changed.

 1. The spec is of its closed schema; the request's id is hashed from it.
 2. A request for other clusters is left alone.
 3. Admission witnessed who submitted it.
 4. An outcome in the archive, under whatever crash it came about, is the outcome.
 5. The published policies give the route; none covers it: stalled until one does.
 6. The desk is frozen. A freeze in the archive that still says what would be frozen now is used again (after a crash, in a rebuilt
    cluster).
 7. The decisions on this freeze are collected, and when they suffice the outcome is written.

Every error ends in "nothing promoted, nothing lost": a state that says what to do, and when it is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Final

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Damaged, Missing, Store, Unavailable
from signoff.archive.write import create_or_same, read_blob, write_blob
from signoff.config import ExplanationSettings
from signoff.decision.checks import measured
from signoff.decision.corrections import revocation
from signoff.decision.frozen import believe_submissions
from signoff.decision.seals import CouldNotTell, Filed, read_submission
from signoff.desk.freezing import CannotFreeze, Gathered, Stale, freeze_request, refuse_stale
from signoff.desk.render import RENDERER
from signoff.errors import SignoffError
from signoff.gate.lookup import WARN_AHEAD
from signoff.operator.cluster import Cluster, ClusterError, Object
from signoff.operator.commit import CannotCommit, collect, commit, outcome_due
from signoff.operator.explanations import CannotFetch, fetch
from signoff.operator.metrics import OperatorMetrics
from signoff.operator.status import State
from signoff.policy.routing import NoRoute, asks_the_same, route
from signoff.record.bundle import Signer
from signoff.record.canonical import Json, b64decode, b64encode, dumps, text_at
from signoff.record.check import MAX_REPORT, opened
from signoff.record.freeze import Freeze, LastApproved, LiveIncumbent, Route, WitnessedSubmission
from signoff.record.keys import CannotSign, KeyOutOfReach
from signoff.record.promotion import as_json, is_freeze_of
from signoff.record.request import Spec, read_spec, request_id, request_value
from signoff.record.values import Digest, RecordError, RequestId, parse, sha256
from signoff.verify.policies import considered, in_force
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, Verified

OUT_OF_REACH: Final = "OutOfReach"
SOON: Final = 2.0
LATER: Final = 30.0
AGAIN: Final = 300.0
"""What stands is looked at again after so many seconds: it may expire, and be revoked in another cluster."""

MAX_FREEZES: Final = 100
_SHOWN: Final = 3
_AT_ONCE: Final = 3
_ONE_AT_A_TIME: Final = Lock()


@dataclass(frozen=True)
class Operator:
    """The operator of one cluster: what it works with."""

    cluster_name: str
    cluster: Cluster
    store: Store
    reader: Reader
    signer: Signer
    explanations: ExplanationSettings
    now: Callable[[], datetime]
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)


@dataclass(frozen=True)
class _Asked:
    """A request as the resource states it."""

    namespace: str
    name: str
    spec_value: Mapping[str, Json]
    spec: Spec
    id: RequestId
    submission: WitnessedSubmission


@dataclass(frozen=True)
class _Live:
    """The live version, and what its own event says of it; None where nothing is live."""

    incumbent: LiveIncumbent | None
    approved: LastApproved | None


def reconcile(operator: Operator, promotion: Object) -> State:
    """Bring a promotion as far as it can go now, and return the state that it is in."""
    request: RequestId | None = None
    try:
        namespace, name, spec_value = _identity(promotion)
        spec = read_spec(spec_value)
        request = request_id(request_value(namespace, name, spec_value))
        if operator.cluster_name not in spec.target.clusters:
            clusters = ", ".join(spec.target.clusters)
            return State("elsewhere", "OtherCluster", f"for {clusters}; this is {operator.cluster_name}: nothing to do here", request)
        archived = _outcome(operator, request)
        if archived is not None:
            return _standing(operator, archived)
        asked = _Asked(namespace, name, spec_value, spec, request, _submission(operator, promotion, spec, request))
        return _promote(operator, asked)
    except (Unavailable, ClusterError, KeyOutOfReach) as error:
        return State("progressing", OUT_OF_REACH, f"{error}; nothing is lost, it is tried again", request, retry=SOON)
    except SignoffError as error:
        return _stuck(error, request)


def _promote(operator: Operator, asked: _Asked) -> State:
    policies = in_force(operator.cluster.policies(), operator.reader, asked.spec)
    target = asked.spec.target
    live = operator.reader.incumbent(asked.spec.model.name, target.environment, operator.cluster_name)
    try:
        history = operator.reader.history_for(target, live)
        checks = measured(asked.spec, operator.reader.trust, operator.now(), history.live)
        derived = route(asked.spec, policies.published, history, checks)
    except NoRoute as error:
        hints = "".join(f"; {one}" for one in policies.ignored[:3])
        return State("stalled", "NoPolicy", f"{error}{hints}", asked.id, retry=LATER)
    refuse_stale(asked.spec, live)
    known = _Live(live, operator.reader.last_approved(live))
    reused = _reusable(operator, asked, derived, known)
    if reused is None:
        with operator.metrics.freezing():
            reused = _freeze(operator, asked, derived, known)
    freeze, digest = reused
    return _decide(operator, asked, freeze, digest)


def _decide(operator: Operator, asked: _Asked, freeze: Freeze, digest: Digest) -> State:
    carried = [
        (text_at(one, "metadata", "name"), text_at(one, "seal", "bundle"))
        for one in operator.cluster.decisions(asked.namespace)
        if text_at(one, "spec", "promotion") == asked.name and text_at(one, "spec", "freeze") == digest
    ]
    collected = collect(operator.reader, freeze, digest, carried)
    decided = tuple(one.seal.decided for one in (*collected.approvals, *collected.rejections))
    due = outcome_due(collected)
    if due is None:
        awaited = ", ".join(collected.quorum.missing)
        mend = "the policy engine decides" if freeze.route.tier == "tier-3" else f"kubectl signoff approve {asked.name}"
        message = f"frozen in {freeze.route.tier} by policy {freeze.route.policy}; awaiting {awaited}: {mend}"
        return State("waiting", "AwaitingDecision", message, asked.id, freeze, digest, decided, retry=LATER, ignored=collected.ignored)
    with operator.metrics.committing((asked.namespace, asked.name)) as ended:
        with _ONE_AT_A_TIME:  # so that of two promotions against one incumbent the second sees the first
            outcome = commit(operator.reader, operator.signer, freeze, due[0], due[1], operator.now())
        ended(outcome.promotes)
    return _standing(operator, outcome)


def _freeze(operator: Operator, asked: _Asked, derived: Route, live: _Live) -> tuple[Freeze, Digest]:
    source = asked.spec.explanation.source
    kind = "inline" if source.inline is not None else "configMap" if source.configMap is not None else "url"
    with operator.metrics.fetching(kind):
        fetched = fetch(asked.spec.explanation.source, asked.namespace, operator.cluster, operator.explanations)
    frozen = freeze_request(
        Gathered(
            namespace=asked.namespace,
            name=asked.name,
            spec_value=asked.spec_value,
            spec=asked.spec,
            cluster=operator.cluster_name,
            submissions=(asked.submission,),
            route=derived,
            live=live.incumbent,
            explanation=fetched.content,
            origin=fetched.origin,
            approved=live.approved,
        )
    )
    reports = tuple(_reports(operator, asked))
    drawn = (one.content for one in frozen.renditions)
    with ThreadPoolExecutor(_AT_ONCE) as writing:
        # All of them are there before the freeze that names them; in which order they come does not matter.
        list(writing.map(partial(write_blob, operator.store), (fetched.content, *drawn, *reports)))
    create_or_same(operator.store, layout.freeze(asked.id, frozen.digest), frozen.payload)
    return frozen.freeze, frozen.digest


def _reports(operator: Operator, asked: _Asked) -> Iterator[bytes]:
    """Yield the reports of the checks that the request brings along; `CannotFetch` or `CannotFreeze` says why there is none."""
    for index, brought in enumerate(opened(asked.spec)):
        where, report = f"spec.checks[{index}].report.source", brought.check.report
        if _is_archived(operator, report.digest):
            continue  # by an earlier look: what is fetched once is not asked for again
        found = fetch(brought.source, asked.namespace, operator.cluster, operator.explanations, where)
        if sha256(found.content) != report.digest or len(found.content) != report.size:
            raise CannotFreeze(
                f"the report from {found.origin} hashes to {sha256(found.content)}, but the check says {report.digest}",
                where=where,
                mend="give the very report that was signed for, in a new request",
            )
        yield found.content


def _is_archived(operator: Operator, digest: Digest) -> bool:
    try:
        read_blob(operator.store, digest, limit=MAX_REPORT)
    except Missing:
        return False
    return True


def _reusable(operator: Operator, asked: _Asked, derived: Route, live: _Live) -> tuple[Freeze, Digest] | None:
    for count, key in enumerate(operator.store.list(layout.freezes_prefix(asked.id))):
        if count == MAX_FREEZES:
            raise CouldNotTell(f"more than {MAX_FREEZES} freezes of one request", where=key, mend="make a new request (spec.attempt)")
        digest = Digest(f"sha256:{key.rpartition('/')[2]}")
        try:
            freeze, _ = operator.reader.freeze(asked.id, digest)
        except (Damaged, RecordError):
            continue  # a bad freeze occupies nothing: the slot is the request's, and freezes lie beneath it by content
        current = (freeze.cluster, freeze.renderer) == (operator.cluster_name, RENDERER)
        current = current and (freeze.live, freeze.lastApproved) == (live.incumbent, live.approved)
        same = current and asks_the_same(derived, freeze.route) and _is_of(freeze, asked)
        if same and _witnessed(operator, freeze) and _still_counts(operator, freeze):
            return freeze, digest
    return None


def _is_of(freeze: Freeze, asked: _Asked) -> bool:
    value = request_value(asked.namespace, asked.name, asked.spec_value)
    return is_freeze_of(freeze, value)


def _witnessed(operator: Operator, freeze: Freeze) -> bool:
    try:
        believe_submissions(freeze, operator.reader.trust, operator.now())
    except SignoffError:
        return False
    return True


def _still_counts(operator: Operator, freeze: Freeze) -> bool:
    """Whether the policies that a freeze names count under the trust file of now: it may ask for two publishers where it asked for one."""
    try:
        considered(freeze, operator.reader.policy, operator.reader.trust)
    except Unavailable:
        raise
    except SignoffError:
        return False
    return True


def _submission(operator: Operator, promotion: Object, spec: Spec, request: RequestId) -> WitnessedSubmission:
    bundle = text_at(promotion, "submission", "bundle")
    if not bundle:
        raise CannotFreeze(
            "admission has not witnessed who submitted this", where="submission", mend="delete the resource and apply it again"
        )
    filed = Filed(b64decode(bundle, "submission.bundle"), operator.now())
    submission = read_submission(filed, operator.reader.trust, spec.target)
    if submission.id != request:
        raise CannotFreeze("is the submission of another request", where="submission", mend="delete the resource and apply it again")
    value: Json = {"principal": as_json(submission.principal), "time": submission.time, "bundle": b64encode(filed.bundle)}
    return parse(WitnessedSubmission, dumps(value), "submission")


def _outcome(operator: Operator, request: RequestId) -> Verified | None:
    try:
        return operator.reader.outcome(request)
    except Missing:
        return None


def _standing(operator: Operator, outcome: Verified) -> State:
    """Return the state of an outcome now: what was revoked or has expired is promoted no more, and what runs of it all the same is told."""
    corrections = operator.reader.corrections(outcome)
    state = replace(_ended(outcome), corrections=corrections)
    if not outcome.promotes:
        return state
    revoked, until, now = revocation(corrections), outcome.valid_until, operator.now()
    if revoked is not None:
        told = f"{_what(outcome)} is {revoked}; promote anew by a new request (spec.attempt)"
        return _running(operator, outcome, replace(state, phase="revoked", reason="Revoked", message=told))
    if until is not None and now >= until:
        told = f"{_what(outcome)} expired at {until:%Y-%m-%d %H:%M} UTC; renew it by a new request (spec.attempt)"
        return _running(operator, outcome, replace(state, phase="expired", reason="Expired", message=told))
    if outcome.is_emergency and not _decided_in_full(operator, outcome):
        return _owing(state, outcome)
    if until is not None and until - now < WARN_AHEAD:
        told = f"{state.message}; it expires at {until:%Y-%m-%d %H:%M} UTC: renew it by a new request (spec.attempt)"
        state = replace(state, reason="ExpiresSoon", message=told, soon=True)
    left = (until - now).total_seconds() if until is not None else AGAIN
    return replace(state, retry=max(LATER, min(AGAIN, left)))


def _running(operator: Operator, outcome: Verified, state: State) -> State:
    """Return the state with the Pods that go on all the same: nobody kills them, and new ones are refused."""
    digests = outcome.images | outcome.artifacts
    try:
        pods = operator.cluster.running(outcome.freeze.request.spec.target.namespaces, digests)
    except ClusterError as error:
        return replace(state, message=f"{state.message}. What of it still runs cannot be told: {error.what}", retry=LATER)
    if not pods:
        return replace(state, retry=AGAIN)
    more = f" and {len(pods) - _SHOWN} more" if len(pods) > _SHOWN else ""
    told = f"{state.message}. Still running, and not killed: {', '.join(pods[:_SHOWN])}{more}"
    return replace(state, message=told, running=pods, retry=LATER)


def _owing(state: State, outcome: Verified) -> State:
    """Return the state of an emergency on which nobody has decided in full yet: one that is looked at again."""
    until = f"{outcome.valid_until:%Y-%m-%d %H:%M} UTC" if outcome.valid_until is not None else "it is corrected"
    told = f"{state.message}, under an emergency rule, until {until}: a full approval is owed; make a request for it without a hurry"
    return replace(state, reason="PromotedInEmergency", message=told, retry=LATER, owed=True)


def _decided_in_full(operator: Operator, outcome: Verified) -> bool:
    try:
        return operator.reader.decided_in_full(outcome) is not None
    except CouldNotTell:
        return False  # the promotion stands all the same; what cannot be told is still owed


def _ended(outcome: Verified) -> State:
    names = ", ".join(f"{one.principal.name} at {one.time}" for one in outcome.decisions)
    what = _what(outcome)
    told = f"{what} is promoted: approved by {names}"
    if not outcome.promotes:
        told = f"{what} was rejected by {names}; a new try is a new request (spec.attempt)"
    return State(
        "promoted" if outcome.promotes else "rejected",
        "Promoted" if outcome.promotes else "Rejected",
        told,
        outcome.id,
        outcome.freeze,
        sha256(outcome.payload),
        outcome.decisions,
        outcome.digest,
    )


def _what(outcome: Verified) -> str:
    spec = outcome.freeze.request.spec
    return f"{spec.model.name} {spec.model.version} for {spec.target.environment}"


def _stuck(error: SignoffError, request: RequestId | None) -> State:
    reasons: dict[type[SignoffError], str] = {
        Stale: "Stale",
        CannotFreeze: "CannotFreeze",
        CannotFetch: "ExplanationUnavailable",
        CannotCommit: "CannotCommit",
        CannotSign: "CannotSign",
        Failed: "ArchiveAltered",
        CouldNotTell: "CouldNotTell",
    }
    reason = next((name for kind, name in reasons.items() if isinstance(error, kind)), "Invalid")
    if isinstance(error, ArchiveError):
        reason = "ArchiveRefuses"
    if isinstance(error, CannotFetch) and error.where.startswith("spec.checks"):
        reason = "ReportUnavailable"
    if isinstance(error, CannotFetch) and error.again:
        return State("progressing", reason, f"{error}; it is tried again", request, retry=SOON)
    return State("stalled", reason, str(error), request, retry=LATER)


def _identity(promotion: Object) -> tuple[str, str, Mapping[str, Json]]:
    spec = promotion.get("spec")
    if not isinstance(spec, Mapping):
        raise RecordError("is missing", where="spec", mend="write one: signoff draft IMAGE")
    return text_at(promotion, "metadata", "namespace"), text_at(promotion, "metadata", "name"), spec
