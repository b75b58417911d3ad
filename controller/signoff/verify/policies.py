"""The policies that are in force in a cluster: the published ones among its PromotionPolicy resources.

1. A resource counts only through the archived statement that its ``publication`` names: published by a policy publisher, of this name, and
   of the very text that the resource has now. An unpublished or edited policy routes nothing.
2. A resource that bears no publication was never in force: it is told, so that somebody can mend it, and routes nothing.
3. A resource that was published, and whose publication does not hold now (edited past admission, its statement lost, its publisher no
   longer trusted), may have been the strictest: for what it covers it cannot be told what is in force, and nothing of that is routed until
   a publisher applies or deletes it. Other models go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from signoff.archive.store import ArchiveError, Missing
from signoff.decision.checks import measured_then
from signoff.decision.seals import CouldNotTell, Filed, NotBelieved, read_published
from signoff.errors import SignoffError
from signoff.policy.routing import derived_again
from signoff.policy.schema import MAX_POLICY, Published, read_policy
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, b64decode, loads
from signoff.record.freeze import Freeze
from signoff.record.request import Spec, Target
from signoff.record.seal import POLICY_TYPE, PolicyStatement
from signoff.record.trust import Trust
from signoff.record.values import Digest, RecordError, parse_digest
from signoff.verify.reader import Reader


class Unpublished(RecordError):
    """A policy that admission never published."""


@dataclass(frozen=True)
class InForce:
    """The policies that count, and in words why others do not."""

    published: tuple[Published, ...]
    ignored: tuple[str, ...]


def considered(freeze: Freeze, filed: Callable[[Digest], Filed], trust: Trust) -> list[Published]:
    """Return the policies that a frozen route names, each by the digest of its statement and believed; raises as `read_published`."""
    target = freeze.request.spec.target
    return [read_published(filed(one.statement), trust, target, one.statement) for one in freeze.route.considered]


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
            published.append(_published(resource, str(name), reader, spec.target))
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
    texts: list[Json] = [resource.get("spec")]
    try:
        texts.append(_as_published(resource, reader))
    except Missing:
        pass  # then its text of now is all there is to go by
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


def _as_published(resource: Mapping[str, Json], reader: Reader) -> Json:
    digest = parse_digest(_statement(resource), "publication.statement")
    bundle = read_bundle(reader.policy(digest).bundle, "publication")
    content = read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, "publication").predicate.content
    return loads(b64decode(content, "publication.content"), "publication.content", limit=MAX_POLICY)


def _unknown(name: object, why: str) -> CouldNotTell:
    mend = "a policy publisher must apply it again, or delete it"
    return CouldNotTell(f"which policies are in force cannot be told, for policy {name} was published and {why}", mend=mend)


def _published(resource: Mapping[str, Json], name: str, reader: Reader, target: Target) -> Published:
    digest = parse_digest(_statement(resource), "publication.statement")
    published = read_published(reader.policy(digest), reader.trust, target, digest)
    if published.name != name or published.spec != read_policy(resource.get("spec")):
        raise RecordError("was edited after it was published", where="spec")
    return published


def _statement(resource: Mapping[str, Json]) -> str:
    publication = resource.get("publication")
    statement = publication.get("statement") if isinstance(publication, Mapping) else None
    if not isinstance(statement, str):
        raise Unpublished("is not published", where="publication", mend="a policy publisher must apply it")
    return statement
