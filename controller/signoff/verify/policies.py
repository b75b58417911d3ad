"""The policies that are in force in a cluster: the published ones among its PromotionPolicy resources.

1. A resource counts only through the archived statement that its ``publication`` names: published by a policy publisher, of this name, and
   of the very text that the resource has now. An unpublished or edited policy routes nothing.
2. What does not count is told, so that somebody can mend it; it never fails the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from signoff.archive.store import ArchiveError, Missing
from signoff.decision.seals import read_published
from signoff.errors import SignoffError
from signoff.policy.routing import Published, read_policy
from signoff.record.canonical import Json
from signoff.record.request import Target
from signoff.record.values import RecordError, parse_digest
from signoff.verify.reader import Reader


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
        except Missing:
            ignored.append(f"policy {name}: its publication is not in the archive; apply it again")
        except ArchiveError:
            raise
        except SignoffError as error:
            ignored.append(f"policy {name}: {error}")
    return InForce(tuple(published), tuple(ignored))


def _published(resource: Mapping[str, Json], name: str, reader: Reader, target: Target) -> Published:
    publication = resource.get("publication")
    statement = publication.get("statement") if isinstance(publication, Mapping) else None
    if not isinstance(statement, str):
        raise RecordError("is not published", where="publication", mend="a policy publisher must apply it")
    digest = parse_digest(statement, "publication.statement")
    published = read_published(reader.policy(digest), reader.trust, target, digest)
    if published.name != name or published.spec != read_policy(resource.get("spec")):
        raise RecordError("was edited after it was published", where="spec", mend="a policy publisher must apply it again")
    return published
