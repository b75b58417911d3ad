"""Whether somebody may decide on a freeze.

1. Only a person decides on tiers 1 and 2; a service account, the operator's and the webhook's among them, never does. Tier 3 is decided by
   a policy engine whom the trust file names, and by nobody else; the engine decides nothing else, and in nobody's name.
2. Nobody who asked decides: no submitter of the freeze, not who submitted the resource as it stands now, and not the author that it names.
3. Who decides holds at least one role of the frozen route, by a group that the API server says they are in.
   In somebody's name they decide in that person's roles alone, and that person did not ask either.
4. Kubernetes must allow them the verb ``approve`` on ``materialitytiers`` of that name (asked at the edge, by SubjectAccessReview).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signoff.decision.principals import Resolved
from signoff.errors import SignoffError
from signoff.policy.quorum import asked
from signoff.record.freeze import Freeze, Principal, Tier
from signoff.record.seal import Delegation


class NotAllowed(SignoffError):
    """This person may not decide on this freeze."""


@dataclass(frozen=True)
class Standing:
    """In which roles somebody decides, and by which groups."""

    roles: tuple[str, ...]
    groups: tuple[str, ...]


def standing(
    freeze: Freeze, who: Resolved, also_asked: Iterable[Principal], grant: Delegation | None = None, *, is_engine: bool = False
) -> Standing:
    """Return the roles in which ``who`` may decide, by a grant where one is given; `NotAllowed` says why they may not (rules 1 to 3).

    ``is_engine``: whether the trust file names them as a policy engine now.
    """
    name, also_asked = f"{who.principal.name} ({who.principal.issuer})", tuple(also_asked)
    _require_kind(freeze.route.tier, who, name, is_engine=is_engine)
    if is_engine and grant is not None:
        raise NotAllowed(f"{name} is a policy engine, and decides in nobody's name")
    for taking_part in (who.principal, grant.grantor) if grant is not None else (who.principal,):
        _require_apart(freeze, taking_part, also_asked)
    groups = set(who.groups if grant is None else grant.groups)
    roles = [role for role in freeze.route.requirement.roles if groups & set(role.groups)]
    if not roles:
        wanted = ", ".join(f"{role.name} ({', '.join(role.groups)})" for role in freeze.route.requirement.roles)
        holder = name if grant is None else f"{grant.grantor.name}, in whose name it would be,"
        raise NotAllowed(
            f"{holder} holds none of the roles that policy {freeze.route.policy} asks for in {freeze.route.tier}",
            mend=f"somebody must decide who is in: {wanted}",
        )
    matched = sorted({group for role in roles for group in role.groups if group in groups})
    return Standing(tuple(role.name for role in roles), tuple(matched))


def _require_kind(tier: Tier, who: Resolved, name: str, *, is_engine: bool) -> None:
    if tier == "tier-3":
        if who.kind != "service" or not is_engine:
            raise NotAllowed(
                f"{name} is no policy engine in the trust file, and tier-3 is decided by one alone",
                mend="leave it to the engine; ask whoever runs signoff whether it runs",
            )
    elif who.kind != "person" or is_engine:
        raise NotAllowed(f"{name} is a service, and {tier} is decided by people", mend="a person must approve")


def _require_apart(freeze: Freeze, principal: Principal, also_asked: Iterable[Principal]) -> None:
    part = asked(freeze, principal)
    if part is None and any(one.is_same(principal) for one in also_asked):
        part = "submitted the resource"
    if part is not None and freeze.route.requirement.fourEyes:
        name = f"{principal.name} ({principal.issuer})"
        raise NotAllowed(f"{name} {part}, and whoever asks cannot approve", mend="another approver must decide")
