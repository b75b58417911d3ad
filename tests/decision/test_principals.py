"""Who a userInfo leads to; whoever is not vouched for by exactly one issuer is nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signoff.decision.principals import CREDENTIAL, Issuer, IssuerMap, Nobody, Resolved, resolve
from signoff.record.canonical import dumps
from signoff.record.values import RecordError, parse

TABLE = yaml.safe_load((Path(__file__).parent / "cases" / "principals.yaml").read_text(encoding="utf-8"))


def issuers_of(values: list[dict[str, Any]]) -> tuple[Issuer, ...]:
    return parse(IssuerMap, dumps({"issuers": values}), "issuers").issuers


ISSUERS = issuers_of(list(TABLE["issuers"].values()))


def answer(case: dict[str, Any]) -> Resolved:
    user = dict(case["user"])
    if "credential" in case:
        shown = case["credential"]
        user["extra"] = {**user.get("extra", {}), CREDENTIAL: shown if isinstance(shown, list) else [shown]}
    return resolve(user, issuers_of(case["issuers"]) if "issuers" in case else ISSUERS)


def those(word: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in TABLE["cases"] if word in case])


@those("is")
def test_the_principal_of_a_user(case: dict[str, Any]) -> None:
    found = answer(case)
    assert [found.principal.issuer, found.principal.subject, found.kind, found.method] == case["is"]
    assert found.principal.name == case.get("printed", found.principal.subject)
    assert list(found.groups) == case.get("groups", [])
    assert found.username == case["user"]["username"]


@those("nobody")
def test_bypass_14_a_user_who_is_nobody(case: dict[str, Any]) -> None:
    with pytest.raises(Nobody, match=case["nobody"]) as refused:
        answer(case)
    assert "\n" not in str(refused.value)
    assert refused.value.where.startswith("userInfo")


def test_bypass_14_no_two_users_of_two_issuers_are_one_principal() -> None:
    found = [answer(case).principal for case in TABLE["cases"] if "is" in case and "issuers" not in case]
    assert len({one.key for one in found}) == len({(one.issuer, one.subject) for one in found})


@pytest.mark.parametrize(
    "change",
    [{"credential": "password"}, {"kind": "robot"}, {"issuer": ""}, {"note": "x"}, {"usernamePrefix": None}, {"usernamePrefix": "x" * 257}],
    ids=str,
)
def test_an_issuer_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        issuers_of([{**TABLE["issuers"]["people"], **change}])


VALUE = st.none() | st.text(max_size=8) | st.integers() | st.lists(st.text(max_size=8) | st.integers(), max_size=2)
EXTRA = VALUE | st.dictionaries(
    st.sampled_from([CREDENTIAL, "example.com/name", "x"]), VALUE | st.sampled_from([["JTI=1"], ["X509SHA256=0"]]), max_size=3
)
USERNAME = VALUE | st.builds(str.__add__, st.sampled_from(["", "oidc:", "proxy:", "system:"]), st.text(st.characters(), max_size=8))


@given(st.fixed_dictionaries({}, optional={"username": USERNAME, "groups": VALUE, "extra": EXTRA, "uid": VALUE}))
def test_no_user_raises_anything_but_nobody(user: dict[str, Any]) -> None:
    try:
        found = resolve(user, ISSUERS)
    except Nobody:
        return
    assert found.principal.subject == found.principal.subject.strip() != ""
    assert not user["username"].startswith("system:") or found.kind == "service"
    assert all(isinstance(group, str) for group in found.groups)


@pytest.mark.parametrize("prefix", ["system:serviceaccount:credit:", "system:", "system:node:"])
def test_bypass_14_no_narrower_prefix_of_service_accounts_can_be_mapped(prefix: str) -> None:
    """With one, who may act as the submitting service account could not be asked."""
    with pytest.raises(ValidationError, match="as a whole"):
        Issuer(issuer="x", usernamePrefix=prefix, credential="JTI", kind="service")
