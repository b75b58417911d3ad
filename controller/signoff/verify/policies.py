"""The policies that are in force in a cluster: the published ones among its PromotionPolicy resources.

1. A resource counts only through the archived statement that its ``publication`` names: published by a policy publisher, of this name, and
   of the very text that the resource has now. An unpublished or edited policy routes nothing.
2. A resource that bears no publication was never in force: it is told, so that somebody can mend it, and routes nothing.
3. A resource that was published, and whose publication does not hold now (edited past admission, its statement lost, its publisher no
   longer trusted), may have been the strictest: for what it covers it cannot be told what is in force, and nothing of that is routed until
   a publisher applies or deletes it. Other models go on.
4. Where the trust file asks for four eyes, a publication without a second publisher's agreement is not in force yet. What two agreed to
   before it was changed (``publication.inForce``) stays in force meanwhile, by its archived text; a policy that never was in force routes
   nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from signoff.archive.store import ArchiveError, Missing
from signoff.decision.checks import measured, measured_then
from signoff.decision.seals import Agreement, CouldNotTell, Filed, NotBelieved, read_published
from signoff.errors import SignoffError
from signoff.policy.facts import History, Measured
from signoff.policy.routing import derived_again, route
from signoff.policy.schema import MAX_POLICY, Published, read_policy
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, b64decode, loads
from signoff.record.freeze import Freeze, Route
from signoff.record.request import Spec, Target
from signoff.record.seal import POLICY_TYPE, PolicyStatement
from signoff.record.trust import Trust
from signoff.record.values import Digest, RecordError, parse_digest
from signoff.verify.reader import Reader


class Unpublished(RecordError):
    """A policy that admission never published, or to which nobody but its publisher has agreed."""


@dataclass(frozen=True)
class InForce:
    """The policies that count, and in words why others, or later texts of them, do not."""

    published: tuple[Published, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class _Named:
    """A policy's statement by digest, and that of a second publisher's, where one is named."""

    statement: Digest
    second: Digest | None


def considered(freeze: Freeze, filed: Callable[[Digest], Filed], trust: Trust) -> list[Published]:
    """Return the policies that a frozen route names, each by the digest of its statement and believed; raises as `read_published`."""
    target = freeze.request.spec.target
    return [_read(_Named(one.statement, one.second), filed, trust, target) for one in freeze.route.considered]


@dataclass(frozen=True)
class Derived:
    """What the archive's history and a request's checks are now, and the route that follows from them by the policies of a freeze."""

    history: History
    checks: tuple[Measured, ...]
    route: Route


def derive_now(freeze: Freeze, reader: Reader, now: datetime) -> Derived:
    """Derive a frozen route anew from the archive: its policies, the history, and the checks as they count now (aware).

    Raises as `read_published`, and as the reader does.
    """
    spec, trust = freeze.request.spec, reader.trust
    history = reader.history_for(spec.target, freeze.live)
    checks = measured(spec, trust, now, history.live)
    return Derived(history, checks, route(spec, considered(freeze, reader.policy, trust), history, checks))


def refuse_underived(freeze: Freeze, filed: Callable[[Digest], Filed], trust: Trust) -> None:
    """Raise `NotBelieved` unless the frozen route follows from the policies that it names and what the payload holds, conditions and all.

    No numbered rule asks this: the verifier evaluates no condition, and knows only that the route could follow.
    """
    if not derived_again(freeze, considered(freeze, filed, trust), measured_then(freeze, trust)):
        raise NotBelieved("the route does not follow from the policies that it names and what was frozen", where="event.route")


def in_force(resources: Iterable[Mapping[str, Json]], reader: Reader, spec: Spec) -> InForce:
    """Return the published ones among PromotionPolicy resources, for a request with this spec; errors of the archive are raised.

    `CouldNotTell` where a policy that was published and may cover the request does not hold now (rule 3).
    """
    published: list[Published] = []
    ignored: list[str] = []
    for resource in resources:
        metadata = resource.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        try:
            one, later = _published(resource, str(name), reader, spec.target)
            published.append(one)
            ignored += [f"policy {name}: its text of now {later}; until then the one before it is in force"] if later else []
        except Unpublished as error:
            ignored.append(f"policy {name}: {error}")
        except (ArchiveError, SignoffError) as error:
            if isinstance(error, ArchiveError) and not isinstance(error, Missing):
                raise
            why = "the statement that published it is not in the archive" if isinstance(error, Missing) else str(error)
            if _may_cover(resource, reader, spec):
                raise _unknown(name, why) from None
            ignored.append(f"policy {name}: {why}")
    return InForce(tuple(published), tuple(ignored))


def _may_cover(resource: Mapping[str, Json], reader: Reader, spec: Spec) -> bool:
    """Whether a policy that does not hold speaks of the request, by its text of now or by that which was published; unread, it may."""
    try:
        texts = [resource.get("spec"), *_as_published(resource, reader)]
    except SignoffError:
        return True
    for text in texts:
        try:
            policy = read_policy(text)
        except SignoffError:
            return True
        if policy.speaks_of(spec.model.name, spec.target.namespaces):
            return True
    return False


def _as_published(resource: Mapping[str, Json], reader: Reader) -> list[Json]:
    """Return the texts that a resource's publication names: that of now, and that which is in force until it is agreed to."""
    publication = _publication(resource)
    texts: list[Json] = []
    with suppress(Missing):  # then the resource's own text is all there is to go by
        texts.append(_text(reader.policy(_digest(publication, "publication"))))
    if "inForce" in publication:
        texts.append(_text(reader.policy(_digest(publication["inForce"], "publication.inForce"))))
    return texts


def _text(filed: Filed) -> Json:
    bundle = read_bundle(filed.bundle, "publication")
    content = read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, "publication").predicate.content
    return loads(b64decode(content, "publication.content"), "publication.content", limit=MAX_POLICY)


def _unknown(name: object, why: str) -> CouldNotTell:
    mend = "a policy publisher must apply it again, or delete it"
    return CouldNotTell(f"which policies are in force cannot be told, for policy {name} was published and {why}", mend=mend)


def _published(resource: Mapping[str, Json], name: str, reader: Reader, target: Target) -> tuple[Published, str]:
    """Return the policy that is in force by a resource, and in words what a later text of it awaits ("" where there is none)."""
    publication = _publication(resource)
    named = _named(publication, "publication")
    if named.second is None and reader.trust.policies.fourEyes:
        awaits = Unpublished("awaits the agreement of a second publisher", where="publication", mend=f"kubectl signoff policy agree {name}")
        before = _before(publication)
        if before is None:
            raise awaits
        published = _read(before, reader.policy, reader.trust, target)
        if published.name != name:
            raise RecordError("is of another policy", where="publication.inForce")
        return published, f"{awaits.what} ({awaits.mend})"
    published = _read(named, reader.policy, reader.trust, target)
    if published.name != name or published.spec != read_policy(resource.get("spec")):
        raise RecordError("was edited after it was published", where="spec")
    return published, ""


def _read(named: _Named, filed: Callable[[Digest], Filed], trust: Trust, target: Target) -> Published:
    second = Agreement(named.second, filed(named.second)) if named.second is not None else None
    return read_published(filed(named.statement), trust, target, named.statement, second=second)


def _publication(resource: Mapping[str, Json]) -> Mapping[str, Json]:
    publication = resource.get("publication")
    if not isinstance(publication, Mapping) or not isinstance(publication.get("statement"), str):
        raise Unpublished("is not published", where="publication", mend="a policy publisher must apply it")
    return publication


def _named(publication: Mapping[str, Json], where: str) -> _Named:
    """Return the statements of a publication; `RecordError` where what stands under ``second`` names none."""
    if "second" not in publication:
        return _Named(_digest(publication, where), None)
    return _Named(_digest(publication, where), _digest(publication["second"], f"{where}.second"))


def _before(publication: Mapping[str, Json]) -> _Named | None:
    """Return what two had agreed to before the text was changed; None where nothing was in force."""
    if "inForce" not in publication:
        return None
    where, before = "publication.inForce", publication["inForce"]
    return _Named(_digest(before, where), _digest(before, where, "second"))


def _digest(value: Json, where: str, name: str = "statement") -> Digest:
    digest = value.get(name) if isinstance(value, Mapping) else None
    return parse_digest(digest if isinstance(digest, str) else "", f"{where}.{name}")
