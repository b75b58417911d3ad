"""Whether those who decided are enough: people and not rows, whatever the order, and nobody who asked."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from builders import BEN, ISSUER, shown_value
from hypothesis import given, settings
from hypothesis import strategies as st

from signoff.policy.quorum import Vote, asked, tally
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze, Principal
from signoff.record.values import parse, sha256

SHOWN = shown_value()
RENDITION = {"mediaType": "text/html", "size": 1, "digest": sha256(b"x")}
ROLES = ("approver", "risk", "legal")


def freeze_with(*roles: tuple[str, int], quorum: int, four_eyes: bool = True, author: str = "ana@bank.example") -> Freeze:
    value = json.loads(dumps(SHOWN))
    value["request"]["spec"]["author"] = author
    value["route"]["requirement"] |= {
        "quorum": quorum,
        "roles": [{"name": name, "count": count, "groups": [f"{name}-group"]} for name, count in roles],
        "fourEyes": four_eyes,
    }
    return parse(Freeze, dumps({**value, "renditions": [RENDITION]}), "freeze")


def principal(subject: str, name: str = "", issuer: str = ISSUER) -> Principal:
    return Principal(issuer=issuer, subject=subject, name=name or subject)


def vote(subject: str, *roles: str, **changes: str) -> Vote:
    return Vote(principal(subject, **changes), roles)


def counted(freeze: Freeze, votes: list[Vote]) -> set[str]:
    return {one.subject for one in tally(freeze, votes).counted}


@pytest.mark.parametrize(
    ("roles", "quorum", "votes", "missing"),
    [
        pytest.param([("approver", 1)], 1, [], ("1 more in role approver (approver-group)",), id="nobody"),
        pytest.param([("approver", 1)], 1, [vote("carla", "approver")], (), id="one of one"),
        pytest.param([("approver", 1)], 2, [vote("carla", "approver")], ("1 more of 2",), id="one of two"),
        pytest.param([("approver", 1)], 2, [vote("carla", "approver"), vote("david", "approver")], (), id="two of two"),
        pytest.param(
            [("approver", 2)], 2, [vote("carla", "approver")], ("1 more in role approver (approver-group)",), id="one of two in a role"
        ),
        pytest.param(
            [("approver", 1), ("risk", 1)],
            2,
            [vote("carla", "approver", "risk")],
            ("1 more in role risk (risk-group)",),
            id="one person in one place",
        ),
        pytest.param(
            [("approver", 1), ("risk", 1)],
            2,
            [vote("carla", "approver", "risk"), vote("david", "approver")],
            (),
            id="moved to another place",
        ),
        pytest.param([("approver", 1)], 1, [vote("carla", "another")], ("1 more in role approver (approver-group)",), id="in another role"),
        pytest.param([("approver", 1)], 1, [vote("carla")], ("1 more in role approver (approver-group)",), id="in no role"),
        pytest.param([("approver", 1)], 3, [vote("carla", "approver")], ("2 more of 3",), id="two more"),
    ],
)
def test_what_is_missing(roles: list[tuple[str, int]], quorum: int, votes: list[Vote], missing: tuple[str, ...]) -> None:
    result = tally(freeze_with(*roles, quorum=quorum), votes)
    assert result.missing == missing
    assert result.reached is (not missing)


def test_bypass_14_one_person_twice_is_one_vote() -> None:
    freeze = freeze_with(("approver", 1), quorum=2)
    twice = [vote("carla", "approver"), vote("carla", "approver", name="Carla C.")]
    assert not tally(freeze, twice).reached
    assert counted(freeze, twice) == {"carla"}


def test_bypass_14_one_person_in_two_roles_fills_one_place() -> None:
    freeze = freeze_with(("approver", 1), ("risk", 1), quorum=2)
    assert not tally(freeze, [vote("carla", "approver"), vote("carla", "risk")]).reached


def test_bypass_14_two_issuers_are_two_people_and_a_name_is_no_identity() -> None:
    freeze = freeze_with(("approver", 1), quorum=2)
    assert tally(freeze, [vote("carla", "approver"), vote("carla", "approver", issuer="https://other.example")]).reached
    assert tally(freeze, [vote("carla", "approver", name="C."), vote("cora", "approver", name="C.")]).reached


def test_bypass_14_who_submitted_does_not_count_under_whatever_name() -> None:
    freeze = freeze_with(("approver", 1), quorum=1)
    assert asked(freeze, principal(BEN.subject, "Somebody Else")) == "submitted the request"
    assert not tally(freeze, [Vote(BEN, ("approver",))]).reached
    assert not tally(freeze, [vote(BEN.subject, "approver", name="Somebody Else")]).reached


AUTHORS = [
    "ana@bank.example", "ANA@BANK.EXAMPLE", " ana@bank.example ", "Ana@Bank.Example", "ana@bank.example\u200b", "a\u00adna@bank.example",
    "\uff41na@bank.example", "ana @bank.example", "\u2060ana@bank.example",
]  # fmt: skip


@pytest.mark.parametrize("author", AUTHORS, ids=ascii)
@pytest.mark.parametrize(
    "who", [principal("ana@bank.example"), principal("6f1c", "Ana@bank.example"), principal("ANA@bank.example", "Ana")]
)
def test_bypass_14_the_author_does_not_count_however_it_is_spelt(author: str, who: Principal) -> None:
    freeze = freeze_with(("approver", 1), quorum=1, author=author)
    assert asked(freeze, who) == "is the author whom the request names"
    assert not tally(freeze, [Vote(who, ("approver",))]).reached


@pytest.mark.parametrize("subject", ["anna@bank.example", "ana@bank.example.org", "ana", "carla@bank.example"])
def test_somebody_else_than_the_author_counts(subject: str) -> None:
    assert tally(freeze_with(("approver", 1), quorum=1), [vote(subject, "approver")]).reached


def test_bypass_14_whoever_asked_in_one_of_two_rows_counts_in_neither() -> None:
    freeze = freeze_with(("approver", 1), quorum=1)
    rows = [vote("6f1c", "approver", name="Carla"), vote("6f1c", "approver", name="ana@bank.example")]
    assert [tally(freeze, list(order)).reached for order in itertools.permutations(rows)] == [False, False]


def test_without_four_eyes_who_asked_counts() -> None:
    freeze = freeze_with(("approver", 1), quorum=1, four_eyes=False)
    assert tally(freeze, [Vote(BEN, ("approver",))]).reached


NEEDED = st.lists(st.tuples(st.sampled_from(ROLES), st.integers(1, 3)), min_size=1, max_size=3, unique_by=lambda one: one[0])
VOTES = st.lists(
    st.builds(
        lambda subject, roles, name: Vote(principal(subject, name), tuple(roles)),
        st.sampled_from(["a", "b", "c", "d", "e", BEN.subject, "ana@bank.example"]),
        st.lists(st.sampled_from([*ROLES, "another"]), max_size=3),
        st.sampled_from(["One", "Two"]),
    ),
    max_size=6,
)


def brute_force(freeze: Freeze, votes: list[Vote]) -> bool:
    """Whether some choice of distinct people fills every place, tried one by one."""
    needed = freeze.route.requirement
    known = {role.name for role in needed.roles}
    roles: dict[str, set[str]] = {}
    for one in votes:
        if one.principal.subject not in {BEN.subject, "ana@bank.example"} and known & set(one.roles):
            roles.setdefault(one.principal.subject, set()).update(known & set(one.roles))
    places = [role.name for role in needed.roles for _ in range(role.count)]
    fits = any(
        all(place in roles[who] for place, who in zip(places, choice, strict=True)) for choice in itertools.permutations(roles, len(places))
    )
    return fits and len(roles) >= needed.quorum


@settings(max_examples=200)
@given(NEEDED, st.integers(0, 2), VOTES, st.randoms(use_true_random=False))
def test_places_are_filled_as_well_as_can_be_in_whatever_order(
    roles: list[tuple[str, int]], more: int, votes: list[Vote], order: Any
) -> None:
    freeze = freeze_with(*roles, quorum=min(20, sum(count for _, count in roles) + more))
    result = tally(freeze, votes)
    assert result.reached is brute_force(freeze, votes)
    shuffled = list(votes)
    order.shuffle(shuffled)
    assert tally(freeze, shuffled) == result


@settings(max_examples=100)
@given(NEEDED, VOTES, VOTES)
def test_a_further_vote_never_takes_anything_away(roles: list[tuple[str, int]], votes: list[Vote], more: list[Vote]) -> None:
    freeze = freeze_with(*roles, quorum=sum(count for _, count in roles))
    assert not tally(freeze, votes).reached or tally(freeze, votes + more).reached


def lent(subject: str, grantor: str, *roles: str) -> Vote:
    return Vote(principal(subject), roles, principal(grantor))


@pytest.mark.parametrize(
    ("votes", "people"),
    [
        pytest.param([lent("erik", "carla", "approver")], {"erik"}, id="in somebody's name"),
        pytest.param([lent("erik", "carla", "approver"), vote("carla", "approver")], {"carla"}, id="the grantor's own word goes first"),
        pytest.param([lent("erik", "carla", "approver"), lent("frida", "carla", "approver")], {"erik"}, id="two in one name"),
        pytest.param([lent("erik", "carla", "approver"), lent("frida", "david", "approver")], {"erik", "frida"}, id="in two names"),
        pytest.param([lent("erik", "ana@bank.example", "approver")], set(), id="in the author's name"),
        pytest.param([lent("erik", BEN.subject, "approver")], set(), id="in a submitter's name"),
        pytest.param([lent("ana@bank.example", "carla", "approver")], set(), id="by the author"),
        pytest.param([lent("erik", "erik", "approver"), vote("erik", "approver")], {"erik"}, id="in one's own name"),
    ],
)
def test_whose_word_counts_where_people_decide_in_others_names(votes: list[Vote], people: set[str]) -> None:
    for order in itertools.permutations(votes):
        assert counted(freeze_with(("approver", 1), quorum=2), list(order)) == people
