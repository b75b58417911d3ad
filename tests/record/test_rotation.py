"""The next version of a trust file: what may come, end and be disowned, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from vectors import golden
from world import trusted_key

from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import as_json
from signoff.record.rotation import add_key, add_provider, beside, compromise_key, end_key, find_key, gap
from signoff.record.trust import IdentityProvider, Key, Trust, read_trust
from signoff.record.values import RecordError, format_time, parse, sha256

NOW = datetime(2026, 6, 1, 12, 0, 0, 500_000, tzinfo=UTC)
FIRST, SECOND, SEAL = (PemSigner(generate_pem()) for _ in range(3))


def moment(days: float) -> datetime:
    return NOW.replace(microsecond=0) + timedelta(days=days)


def at(days: float) -> str:
    return format_time(moment(days))


def trust(**changes: Any) -> Trust:
    """A trust file with one event key, changed so, and one seal key."""
    keys = [trusted_key(FIRST, "event", **changes), trusted_key(SEAL, "seal")]
    policies = {"publishers": [{"issuer": "https://login.bank.example", "subject": "paula"}], "fourEyes": False}
    return read_trust(dumps({"format": "signoff.dev/trust/v1", "version": 7, "keys": keys, "policies": policies}))


def new(**changes: Any) -> Key:
    value = {"name": "event key 2 of demo", "validFrom": at(0), **changes}
    return parse(Key, dumps(trusted_key(SECOND, "event") | value), "key")


def old(file: Trust) -> Key:
    return find_key(file, FIRST.key_id)


def test_rule_1_a_key_is_added_beside_the_others_which_stay_as_they_were() -> None:
    before = trust()
    after = add_key(before, new(), NOW)
    assert (after.version, after.keys[:-1], after.keys[-1], after.policies) == (8, before.keys, new(), before.policies)


ADDED: dict[str, tuple[dict[str, Any], str]] = {
    "rule 1 backdated by a second": ({"validFrom": format_time(NOW - timedelta(seconds=1))}, "validFrom: lies in the past"),
    "rule 1 backdated by a year": ({"validFrom": at(-365)}, "validFrom: lies in the past"),
    "rule 4 ended before it begins": ({"validFrom": at(2), "validUntil": at(1)}, "validUntil: does not lie after validFrom"),
    "rule 4 ended as it begins": ({"validFrom": at(1), "validUntil": at(1)}, "validUntil: does not lie after validFrom"),
    "compromised already": ({"compromised": {"at": at(0)}}, "a key that is compromised is not added"),
    "another key's name": ({"name": "event key of demo"}, "another key has this name"),
    "the same key": ({"id": FIRST.key_id, "publicKey": FIRST.public_pem}, "stands in the trust file already, as event key of demo"),
    "the same key for another use": (
        {"id": SEAL.key_id, "publicKey": SEAL.public_pem},
        "stands in the trust file already, as seal key of demo",
    ),
}


@pytest.mark.parametrize("case", ADDED)
def test_a_key_that_is_not_added(case: str) -> None:
    changes, why = ADDED[case]
    with pytest.raises(RecordError) as refused:
        add_key(trust(), new(**changes), NOW)
    assert why in str(refused.value)


@pytest.mark.parametrize("days", [0, 1, 30])
def test_rule_1_a_key_begins_now_or_later(days: float) -> None:
    assert add_key(trust(), new(validFrom=at(days)), NOW).keys[-1].validFrom == at(days)


@pytest.mark.parametrize("ended", [{}, {"validUntil": at(3)}])
def test_rule_2_a_key_ends_now_or_later_and_all_else_stays(ended: dict[str, Any]) -> None:
    for days in (0, 1, 5):
        before = trust(**ended)
        after = end_key(before, old(before), moment(days), NOW)
        assert after.version == 8
        assert after.keys == (old(before).model_copy(update={"validUntil": at(days)}), before.keys[1])


ENDED: dict[str, tuple[dict[str, Any], float, str]] = {
    "rule 2 in the past": ({}, -1, "at: lies in the past"),
    "rule 2 a second ago": ({}, -1 / 86400, "at: lies in the past"),
    "rule 2 an end that has come, later": ({"validUntil": at(-1)}, 1, f"ended at {at(-1)}"),
    "rule 2 an end that has come, earlier": ({"validUntil": at(-1)}, -2, f"ended at {at(-1)}"),
    "rule 4 before it begins": ({"validFrom": at(5)}, 4, "does not lie after the key's beginning"),
    "rule 4 as it begins": ({"validFrom": at(5)}, 5, "does not lie after the key's beginning"),
    "rule 3 compromised": ({"compromised": {"at": at(-1)}}, 1, f"is compromised from {at(-1)} on"),
}


@pytest.mark.parametrize("case", ENDED)
def test_a_key_that_is_not_ended(case: str) -> None:
    changes, days, why = ENDED[case]
    before = trust(**changes)
    with pytest.raises(RecordError) as refused:
        end_key(before, old(before), moment(days), NOW)
    assert why in str(refused.value)


@pytest.mark.parametrize("known", [{}, {"compromised": {"at": at(0)}}, {"validUntil": at(-1)}, {"validUntil": at(9)}])
def test_rule_3_a_key_is_compromised_from_a_moment_that_has_been(known: dict[str, Any]) -> None:
    before = trust(**known)
    after = compromise_key(before, old(before), moment(-2), NOW)
    assert (after.version, as_json(old(after))) == (8, {**as_json(old(before)), "compromised": {"at": at(-2)}})


COMPROMISED: dict[str, tuple[dict[str, Any], float, str]] = {
    "rule 3 in the future": ({}, 1, "at: has not come"),
    "rule 3 believed again": ({"compromised": {"at": at(-3)}}, -2, f"is compromised from {at(-3)} on"),
    "rule 3 the same again": ({"compromised": {"at": at(-3)}}, -3, f"is compromised from {at(-3)} on"),
    "rule 4 before it begins": ({"validFrom": at(-5)}, -6, "lies before the key's beginning"),
}


@pytest.mark.parametrize("case", COMPROMISED)
def test_a_key_that_is_not_disowned(case: str) -> None:
    changes, days, why = COMPROMISED[case]
    before = trust(**changes)
    with pytest.raises(RecordError) as refused:
        compromise_key(before, old(before), moment(days), NOW)
    assert why in str(refused.value)


# The old key's end, the new key's beginning and end, in days from now: is the old one beside it, and from when on is there none?
OVERLAPS: dict[str, tuple[float | None, float, float | None, bool, float | None]] = {
    "both without an end": (None, 0, None, True, None),
    "handed over at one moment": (2, 2, None, False, None),
    "a day of both": (3, 2, None, True, None),
    "a day of none": (2, 3, None, False, 2),
    "the new one ends first": (None, 0, 5, True, None),
    "both end": (3, 2, 5, True, 5),
    "the old one ended long ago": (-9, 0, None, False, None),
    "nothing now": (-9, 1, None, False, 0),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_rule_5_overlap_and_gap_are_told(case: str) -> None:
    ended, begins, ends, both, none_from = OVERLAPS[case]
    before = trust(**({"validUntil": at(ended)} if ended is not None else {}))
    key = new(validFrom=at(begins), **({"validUntil": at(ends)} if ends is not None else {}))
    after = add_key(before, key, NOW)
    assert beside(after, key) == ((old(after),) if both else ())
    assert gap(after, key, NOW) == (at(none_from) if none_from is not None else None)


def test_rule_5_other_uses_and_other_clusters_are_not_beside() -> None:
    key = new(cluster="other", name="event key of other")
    after = add_key(trust(), key, NOW)
    assert beside(after, key) == ()
    assert beside(after, find_key(after, "seal key of demo")) == ()
    assert gap(end_key(after, key, moment(1), NOW), key, NOW) == at(1)


def test_rule_5_a_compromised_key_leaves_a_gap() -> None:
    before = trust()
    after = compromise_key(before, old(before), moment(-1), NOW)
    assert gap(after, old(after), NOW) == format_time(NOW)


def test_a_key_is_found_by_its_name_its_id_or_the_beginning_of_its_id() -> None:
    file = trust()
    for named in (FIRST.key_id, "event key of demo", FIRST.key_id[:19], FIRST.key_id.removeprefix("sha256:")[:8]):
        assert find_key(file, named).id == FIRST.key_id
    for named in ("", "sha256:", "sha256:" + "0" * 64, "event", FIRST.key_id[:14]):
        with pytest.raises(RecordError, match="no key of this name or id"):
            find_key(file, named)


def test_two_keys_of_one_name_are_not_confused() -> None:
    before = trust()
    twins = read_trust(dumps({**as_json(before), "keys": [as_json(one.model_copy(update={"name": "twin"})) for one in before.keys]}))
    with pytest.raises(RecordError, match="2 keys of this name"):
        find_key(twins, "twin")


def test_the_golden_trust_file_goes_on() -> None:
    """Whatever a trust file of today holds is carried into the next version."""
    before = read_trust(golden("trust.json"))
    after = add_key(before, new(), NOW)
    assert {**as_json(after), "version": before.version, "keys": as_json(after)["keys"][:-1]} == as_json(before)


def provider(**changes: object) -> IdentityProvider:
    value = {"issuer": "https://login.bank.example", "clients": ["signoff"], "subjectClaim": "email", "groupsClaim": "groups", **changes}
    return parse(IdentityProvider, dumps(value), "provider")


def test_an_identity_provider_comes_and_gets_further_clients_and_keys() -> None:
    first = add_provider(trust(), provider(keys=[sha256(b"one")]))
    later = add_provider(first, provider(clients=["portal"], keys=[sha256(b"two")]))
    assert later.version == trust().version + 2
    [known] = later.identityProviders or ()
    assert (known.clients, known.keys) == (("signoff", "portal"), (sha256(b"one"), sha256(b"two")))
    assert len(add_provider(later, provider(issuer="https://other.bank.example")).identityProviders or ()) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "stands in the trust file already"),
        ({"subjectClaim": "sub"}, "is email in the trust file"),
        ({"groupsPrefix": "oidc:"}, "is None in the trust file"),
        ({"keys": [sha256(b"one")]}, "either listed from the beginning or never"),
    ],
)
def test_how_a_providers_tokens_are_read_does_not_change(changes: dict[str, object], why: str) -> None:
    known = add_provider(trust(), provider())
    with pytest.raises(RecordError, match=why):
        add_provider(known, provider(**changes))
