"""Whether those who decided are enough.

1. People are counted, not rows: two seals of one principal (issuer and subject) are one vote, in all the roles that they held.
2. With four eyes, nobody who asked counts: no submitter, and not the author whom the manifest names. The author is a claim of text, so it
   excludes whoever bears it as subject or as name, in whatever case, width or spacing, and with whatever characters that nobody sees.
3. Each role must be filled by as many distinct people as it asks for, and one person fills one place: the assignment is a matching,
   so that the order of the votes does not matter.
4. The quorum counts everybody who holds at least one of the roles.
5. Who decides in somebody's name holds that person's roles. Nobody's word counts twice: where the grantor decided too, or several in the
   grantor's name, one vote is counted, the grantor's own first. Whoever asked lends their voice to nobody (rule 2).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signoff.record.freeze import Freeze, Principal, Requirement


@dataclass(frozen=True)
class Vote:
    """An approval: who, the roles that they held when they decided, and in whose name it was (None: in their own)."""

    principal: Principal
    roles: tuple[str, ...]
    grantor: Principal | None = None

    @property
    def holder(self) -> Principal:
        """Whose roles these are."""
        return self.grantor or self.principal


@dataclass(frozen=True)
class Quorum:
    """How far the votes go: ``missing`` is empty when they suffice, and says in words what is awaited when not."""

    counted: tuple[Principal, ...]
    missing: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def asked(freeze: Freeze, principal: Principal) -> str | None:
    """Return in words how this principal took part in asking, or None (rule 2)."""
    if any(one.principal.is_same(principal) for one in freeze.submissions):
        return "submitted the request"
    if _as_seen(freeze.request.spec.author) in {_as_seen(principal.subject), _as_seen(principal.name)}:
        return "is the author whom the request names"
    return None


def _as_seen(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if unicodedata.category(character) != "Cf" and not character.isspace())


def tally(freeze: Freeze, votes: Iterable[Vote]) -> Quorum:
    """Return whether the approvals satisfy what the frozen route asks for."""
    requirement = freeze.route.requirement
    known = {role.name for role in requirement.roles}
    people: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        people.setdefault((vote.principal.issuer, vote.principal.subject), []).append(vote)
    counted: list[Vote] = []
    for theirs in (people[identity] for identity in sorted(people)):
        if requirement.fourEyes and any(asked(freeze, one) for vote in theirs for one in (vote.principal, vote.holder)):
            continue
        held = known & {role for vote in theirs for role in vote.roles}
        if held:
            printed = min(theirs, key=lambda one: (one.grantor is not None, one.principal.name))
            counted.append(Vote(printed.principal, tuple(sorted(held)), printed.grantor))
    counted = _each_word_once(counted)
    return Quorum(counted=tuple(vote.principal for vote in counted), missing=tuple(_missing(requirement, counted)))


def _each_word_once(votes: Sequence[Vote]) -> list[Vote]:
    """Return the votes but for those of somebody whose word is counted already (rule 5), in their order."""
    spoken: set[str] = set()
    counted: list[Vote] = []
    for vote in sorted(votes, key=lambda one: one.grantor is not None):
        if vote.holder.key not in spoken:
            spoken.add(vote.holder.key)
            counted.append(vote)
    return [vote for vote in votes if vote in counted]


def _missing(requirement: Requirement, votes: Sequence[Vote]) -> Iterable[str]:
    places = [role.name for role in requirement.roles for _ in range(role.count)]
    filled = _matching(places, votes)
    for role in requirement.roles:
        short = sum(1 for index, place in enumerate(places) if place == role.name and index not in filled)
        if short:
            yield f"{short} more in role {role.name} ({', '.join(role.groups)})"
    if len(votes) < requirement.quorum and len(filled) == len(places):
        yield f"{requirement.quorum - len(votes)} more of {requirement.quorum}"


def _matching(places: Sequence[str], votes: Sequence[Vote]) -> dict[int, int]:
    """Return place → vote of a maximum matching (augmenting paths, Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(vote: int, seen: set[int]) -> bool:
        for index, role in enumerate(places):
            if role not in votes[vote].roles or index in seen:
                continue
            seen.add(index)
            if index not in taken or place(taken[index], seen):
                taken[index] = vote
                return True
        return False

    for vote in range(len(votes)):
        place(vote, set())
    return taken
