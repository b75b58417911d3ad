"""The kinds that are looked at: those that the gate reads (`gate.workloads.WORKLOADS`), and where the API server lists them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from signoff.gate.workloads import WORKLOADS


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of the gate's table. ``api_versions`` are tried in this order; the first that is served lists its objects."""

    group: str
    name: str
    api_versions: tuple[str, ...]
    is_pod: bool

    @property
    def plural(self) -> str:
        """The resource, as its address names it."""
        return f"{self.name.lower()}s"


def _kinds() -> Iterator[Kind]:
    versions: dict[tuple[str, str], list[str]] = {}
    for row in WORKLOADS:
        if not row.subresource:
            group = row.api_version.rpartition("/")[0]
            versions.setdefault((group, row.kind), []).append(row.api_version)
    for (group, name), known in versions.items():
        yield Kind(group, name, tuple(known), is_pod=(group, name) == ("", "Pod"))


_MADE_BY_OTHERS: Final = frozenset({"ReplicaSet", "Job"})

KINDS: Final = tuple(sorted(_kinds(), key=lambda kind: (kind.is_pod, kind.name in _MADE_BY_OTHERS)))
"""What makes others comes before them, and Pods last."""
