"""The policies that are in force in a cluster: the published ones among its PromotionPolicy resources.

1. A resource counts only through the archived statement that its ``publication`` names: published by a policy publisher, of this name, and
   of the very text that the resource has now. An unpublished or edited policy routes nothing.
2. A resource that bears no publication was never in force: it is told, so that somebody can mend it, and routes nothing.
3. A resource that was published, and whose publication does not hold now (edited past admission, its statement lost, its publisher no
   longer trusted), may have been the strictest: what is in force cannot be told, and nothing is routed until a publisher applies or
   deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from signoff.archive.store import ArchiveError, Missing
from signoff.decision.seals import CouldNotTell, read_published
from signoff.errors import SignoffError
from signoff.policy.routing import Published, read_policy
from signoff.record.canonical import Json
from signoff.record.request import Target
from signoff.record.values import RecordError, parse_digest
from signoff.verify.reader import Reader


class Unpublished(RecordError):
    """A policy that admission never published."""


@dataclass(frozen=True)
class InForce:
    """The policies that count, and in words why others do not."""

    published: tuple[Published, ...]
    ignored: tuple[str, ...]


def in_force(resources: Iterable[Mapping[str, Json]], reader: Reader, target: Target) -> InForce:
    """Return the published ones among PromotionPolicy resources; errors of the archive other than `Missing` are raised."""
    published: list[Published] = []
    ignored: list[str] = []
    for resource in resources:
        metadata = resource.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        try:
            published.append(_published(resource, str(name), reader, target))
        except Unpublished as error:
            ignored.append(f"policy {name}: {error}")
        except Missing:
            raise _unknown(name, "the statement that published it is not in the archive") from None
        except ArchiveError:
            raise
        except SignoffError as error:
            raise _unknown(name, str(error)) from None
    return InForce(tuple(published), tuple(ignored))


def _unknown(name: object, why: str) -> CouldNotTell:
    mend = "a policy publisher must apply it again, or delete it"
    return CouldNotTell(f"which policies are in force cannot be told, for policy {name} was published and {why}", mend=mend)


def _published(resource: Mapping[str, Json], name: str, reader: Reader, target: Target) -> Published:
    publication = resource.get("publication")
    statement = publication.get("statement") if isinstance(publication, Mapping) else None
    if not isinstance(statement, str):
        raise Unpublished("is not published", where="publication", mend="a policy publisher must apply it")
    digest = parse_digest(statement, "publication.statement")
    published = read_published(reader.policy(digest), reader.trust, target, digest)
    if published.name != name or published.spec != read_policy(resource.get("spec")):
        raise RecordError("was edited after it was published", where="spec")
    return published
