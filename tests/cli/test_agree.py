"""`signoff policy agree`, over a stand-in for the API server; the real one is asked in tests/e2e/test_four_eyes.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from archive_fixture import Ran, Site
from world import POLICY

from signoff.cli import kube
from signoff.errors import SignoffError

FIRST = {
    "statement": "sha256:" + "1" * 64,
    "issuer": "https://login.bank.example",
    "subject": "paula@bank.example",
    "name": "Paula",
    "time": "2026-02-01T08:00:00Z",
}
SECOND = {**FIRST, "statement": "sha256:" + "2" * 64, "subject": "pia@bank.example", "name": "Pia", "time": "2026-02-01T09:00:00Z"}


class ApiServer:
    """One policy, and what admission makes of an annotation: it signs, unless ``denial`` says why not."""

    def __init__(self) -> None:
        self.policy_: dict[str, Any] = {"metadata": {"name": "credit-models"}, "spec": POLICY, "publication": dict(FIRST)}
        self.denial = ""
        self.signs = True
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, *_: object) -> ApiServer:
        return self

    def policy(self, name: str) -> Mapping[str, Any]:
        if name != "credit-models":
            raise SignoffError("there is no such object", f"promotionpolicy {name}", "look with: kubectl get promotionpolicies")
        return self.policy_

    def annotate_policy(self, name: str, annotations: Mapping[str, Any]) -> Mapping[str, Any]:
        assert name == "credit-models"
        self.asked.append(annotations)
        if self.denial:
            raise kube.Denied(self.denial)
        return {**self.policy_, "publication": {**self.policy_["publication"], **({"second": SECOND} if self.signs else {})}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    standing_in = ApiServer()
    monkeypatch.setattr(kube, "Cluster", standing_in)
    return standing_in


def agree(site: Site, *arguments: str) -> Ran:
    return site.run("policy", "agree", "credit-models", *arguments, archive=False)


def answering(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("click.prompt", lambda *_, **__: typed)


def test_the_text_is_shown_and_the_statement_that_was_read_is_agreed_to(
    site: Site, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "credit-models")
    ran = agree(site)
    assert (ran.code, ran.err) == (0, "")
    assert server.asked == [{"signoff.dev/agrees": FIRST["statement"]}]
    for told in (
        "named-individual",
        "published by  Paula at 2026-02-01T08:00:00Z\n",
        "subject paula@bank.example, by https://login.bank.example",
        FIRST["statement"],
        "agreed  credit-models is in force as it stands here",
        "agreed to by  Pia at 2026-02-01T09:00:00Z",
        SECOND["statement"],
    ):
        assert told in ran.out


@pytest.mark.parametrize("typed", ["", "yes", "credit-model", "Credit-models"])
def test_another_word_agrees_to_nothing(site: Site, server: ApiServer, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    answering(monkeypatch, typed)
    ran = agree(site)
    assert (ran.code, server.asked) == (1, [])
    assert "nobody has agreed" in ran.err


def test_what_admission_refuses_is_told_in_its_words(site: Site, server: ApiServer) -> None:
    server.denial = "paula@bank.example published this text, and cannot be the second who agrees to it; have another publisher agree"
    ran = agree(site, "--yes")
    assert ran.code == 1
    assert server.denial in ran.err
    assert "named-individual" in ran.out, "with --yes the policy is printed all the same"
    assert "in force" not in ran.out


def test_who_agreed_already_is_told_and_nothing_is_asked(site: Site, server: ApiServer) -> None:
    server.policy_["publication"] |= {"second": SECOND}
    ran = agree(site, "--yes")
    assert (ran.code, server.asked) == (0, [])
    assert "agreed already  credit-models is in force" in ran.out


def test_without_admission_nobody_has_agreed(site: Site, server: ApiServer) -> None:
    server.signs = False
    ran = agree(site, "--yes")
    assert ran.code == 2
    assert "admission did not sign, so nobody has agreed" in ran.err
    assert "in force" not in ran.out


def test_what_was_not_published_is_agreed_to_by_nobody(site: Site, server: ApiServer) -> None:
    del server.policy_["publication"]
    ran = agree(site, "--yes")
    assert (ran.code, server.asked) == (2, [])
    assert "promotionpolicy credit-models: is not published; a policy publisher must apply it first" in ran.err
    ran = site.run("policy", "agree", "another", "--yes", archive=False)
    assert ran.code == 2
    assert "look with: kubectl get promotionpolicies" in ran.err


def test_what_stays_in_force_meanwhile_is_said(site: Site, server: ApiServer) -> None:
    server.policy_["publication"] |= {"inForce": {"statement": "sha256:" + "3" * 64, "second": "sha256:" + "4" * 64}}
    ran = agree(site, "--yes")
    assert f"until somebody agrees: what was agreed to before, sha256:{'3' * 64}" in " ".join(ran.out.split())


def test_a_text_that_would_act_on_the_terminal_is_spelt_out(site: Site, server: ApiServer) -> None:
    server.policy_["spec"] = {**POLICY, "note": "safe\u202e\x1b[2J"}
    out = agree(site, "--yes").out
    assert "\u202e" not in out
    assert "\x1b" not in out
