"""`signoff history`: the timeline of a model, over real archives whose store says when it took what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from archive_fixture import Site
from story import MODEL, Story
from world import DAVID, POLICY, SPEC

from signoff.archive import layout
from signoff.desk.freezing import Frozen
from signoff.record.canonical import dumps
from signoff.record.values import sha256


@pytest.fixture
def story(site: Site) -> Story:
    return Story(site)


def kinds(site: Site) -> list[tuple[str, str, str]]:
    """Return day, kind and version of each entry."""
    entries = site.run("history", MODEL, "-o", "json").json["entries"]
    return [(one["time"][8:10], one["kind"], one.get("model", {}).get("version", "")) for one in entries]


def text(site: Site, *flags: str) -> str:
    return " ".join(site.run("history", MODEL, *flags).out.split())


def entry(site: Site, request: str, kind: str = "") -> dict[str, Any]:
    entries = site.run("history", MODEL, "-o", "json").json["entries"]
    return next(one for one in entries if one["id"] == request and kind in {"", one["kind"]})


NEXT = {"version": "2.5.0", "digest": sha256(b"2.5.0")}


def test_a_life_is_told_oldest_first(site: Site, story: Story) -> None:
    first = story.decided(3, story.asked(2, validFor="240h"))
    rejected = story.decided(5, story.asked(4, live=first, model=NEXT), DAVID, verdict="Reject")
    second = story.decided(7, story.asked(6, live=first, model=NEXT, attempt=2, supersedes=rejected.id), DAVID)
    story.revoked(9, second)
    story.taken(10, site.world.correct(second, "Annotate"))
    undecided = story.asked(20, live=first, model={"version": "2.6.0", "digest": sha256(b"2.6.0")}, validFor="1h")
    assert kinds(site) == [
        ("03", "promoted", "2.4.0"),
        ("05", "rejected", "2.5.0"),
        ("07", "promoted", "2.5.0"),
        ("09", "revoked", "2.5.0"),
        ("10", "annotated", "2.5.0"),
        ("13", "expired", "2.4.0"),
        ("20", "undecided", "2.6.0"),
        ("07", "expires" if datetime.now(UTC) < datetime(2027, 3, 7, 11, 59, tzinfo=UTC) else "expired", "2.5.0"),
    ]
    ran = site.run("history", MODEL)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("2026-03-03 12:00:00 UTC  credit-scoring 2.4.0  promoted\n  for             production in demo")
    told = " ".join(ran.out.split())
    for words in (
        f"credit-scoring 2.4.0 ({first.id[:12]}…) is live for production in demo, the first there",
        f"2.5.0 ({second.id[:12]}…) is live for production in demo in place of credit-scoring 2.4.0",
        f"2.4.0 ({first.id[:12]}…) is live for production in demo in place of credit-scoring 2.5.0",
        f"attempt 2 supersedes credit-scoring 2.5.0, rejected {rejected.id}",
        f"superseded by credit-scoring 2.5.0, promoted {second.id}",
        f"APPROVED LATER the same digest, as credit-scoring 2.5.0, by david@bank.example at 2026-03-07 12:00:00 UTC {second.id}",
        "it is still what others are compared with, until another goes live",
        "nothing: it was revoked before",
        "UNDECIDED frozen (1 desk, 0 decisions sealed)",
        f"live now production in demo credit-scoring 2.4.0 ({first.id})",
    ):
        assert words in told, words
    assert undecided.freeze.id in ran.out
    assert max(len(line) for line in ran.out.splitlines() if "sha256:" not in line) <= 100


STRICT = {"tiers": {"tier-1": {**POLICY["tiers"]["tier-2"], "roles": [{"name": "risk", "groups": ["model-risk"], "count": 1}]}}}
BY_RISK = {**POLICY, "rules": [{"name": "named-individual", "tier": "tier-1"}], **STRICT}
LAX = {**POLICY, "tiers": {"tier-2": {**POLICY["tiers"]["tier-2"], "roles": [{"name": "approver", "groups": ["desk-b"], "count": 1}]}}}
WIDER = {**POLICY, "models": [{"names": ["*"], "namespaces": ["*"]}]}

# what was asked the second time, and what must be told to differ; an empty difference is the same people again
AGAIN: dict[str, tuple[dict[str, Any], set[str]]] = {
    "the same again": ({"attempt": 2}, set()),
    "other approvers": ({"policies": ("credit-models", LAX)}, {"policy", "approvers"}),
    "another tier": ({"policies": ("credit-models", BY_RISK)}, {"policy", "tier", "approvers"}),
    "another policy": ({"policies": ("second-models", POLICY)}, {"policy"}),
    "another name": ({"model": {"name": "credit-scoring-two"}}, {"name"}),
    "another version": ({"model": {"version": "2.4.1"}}, {"version"}),
    "another place": ({"target": {"namespaces": ["retail"]}, "policies": ("credit-models", WIDER)}, {"policy", "place"}),
}


@pytest.mark.parametrize("state", ["rejected", "undecided", "revoked"])
@pytest.mark.parametrize("case", AGAIN)
def test_who_was_asked_again_is_told_with_what_differs(site: Site, story: Story, case: str, state: str) -> None:
    changes, differs = AGAIN[case]
    first = story.asked(2, policies=(site.world.publish("credit-models", POLICY),))
    if state != "undecided":
        decided = story.decided(3, first, DAVID, verdict="Reject" if state == "rejected" else "Approve")
        if state == "revoked":
            story.revoked(4, decided)
    published = (site.world.publish(*changes["policies"]),) if "policies" in changes else ()
    second = story.asked(5, **{**changes, "policies": published})
    known = entry(site, second.freeze.id)
    overlaps = state != "undecided" or "target" not in changes
    wanted = [{"request": first.freeze.id, "after": state, "differs": sorted(differs), "shopping": bool(differs - {"place"})}]
    assert [{**one, "differs": sorted(one["differs"])} for one in known["askedAgain"]] == (wanted if overlaps else [])
    told = text(site)
    assert ("ASKED AGAIN" in told) == (overlaps and bool(differs - {"place"}))
    assert ("the same people are asked, by the same policy" in told) == (not differs)
    assert entry(site, first.freeze.id)["askedAgain"] == [], "who asked first asked nobody again"


def test_what_was_rejected_under_another_name_is_told_in_the_history_of_either(site: Site, story: Story) -> None:
    rejected = story.decided(3, story.asked(2, model={"name": "credit-old-name"}), DAVID, verdict="Reject")
    story.decided(4, story.asked(3, model={"name": "credit-other", "digest": sha256(b"other"), "version": "1"}), DAVID, verdict="Reject")
    approved = story.decided(6, story.asked(5))
    told = text(site)
    assert "credit-old-name 2.4.0 rejected OTHER NAME asked for as credit-old-name: it is the same digest" in told
    assert f"ASKED AGAIN after credit-old-name 2.4.0 (request {rejected.id}) was rejected by david@bank.example" in told
    assert "credit-other" not in told
    other = " ".join(site.run("history", "credit-old-name").out.split())
    by = "by approver-0@bank.example at 2026-03-06 12:00:00 UTC"
    assert f"APPROVED LATER the same digest, as credit-scoring 2.4.0, {by} {approved.id}" in other
    assert "live now" not in other, "what is live under another name is not what is live of this model"


def test_a_desk_that_was_frozen_again_for_others_is_told(site: Site, story: Story) -> None:
    frozen = story.asked(2, policies=(site.world.publish("credit-models", BY_RISK),))
    story.number = 0
    again = story.asked(2)
    assert again.freeze.id == frozen.freeze.id
    story.decided(3, again)
    told = text(site)
    asks = "asks for 1 in all, 1 as risk (model-risk); nobody who asked"
    assert f"other desk tier-1 by credit-models, rule named-individual; {asks} {frozen.digest}" in told


def test_an_environment_leaves_the_others_out(site: Site, story: Story) -> None:
    story.decided(3, story.asked(2))
    forged(site, story)
    assert site.run("history", MODEL, "--environment", "production").out == site.run("history", MODEL).out
    ran = site.run("history", MODEL, "--environment", "staging")
    assert (ran.code, "The archive holds nothing of credit-scoring" in ran.out) == (1, True)


def forged(site: Site, story: Story) -> Frozen:
    frozen = story.asked(3, attempt=7)
    bundle = site.world.bundle(frozen.payload, [site.world.seal(frozen.payload, frozen.freeze)], signer=site.world.stranger)
    site.world.store.create(layout.event(frozen.freeze.id), bundle)
    story.taken(4, layout.event(frozen.freeze.id))
    site.world.store.create(
        layout.model_pointer(MODEL, "production", frozen.freeze.id), dumps({"event": layout.event(frozen.freeze.id)}) + b"\n"
    )
    return frozen


def test_an_altered_event_in_the_middle_is_told_where_it_stood(site: Site, story: Story) -> None:
    first = story.decided(3, story.asked(2))
    story.decided(6, story.asked(5, live=first, model=NEXT))
    frozen = forged(site, story)
    ran = site.run("history", MODEL)
    assert ran.code == 1
    assert f"2026-03-04 12:00:00 UTC  request {frozen.freeze.id[:12]}…  not believed\n  why             rule 2 (signature)" in ran.out
    assert [kind for _, kind, _ in kinds(site)][:3] == ["promoted", "not believed", "promoted"]
    assert "production in demo cannot be told: rule 2 (signature)" in " ".join(ran.out.split())


def test_an_undecided_desk_is_not_believed_where_admission_did_not_sign_its_submission(site: Site, story: Story) -> None:
    story.decided(3, story.asked(2))
    good, site.world.seal_key = site.world.seal_key, site.world.stranger
    try:
        frozen = story.asked(5, attempt=2)
    finally:
        site.world.seal_key = good
    ran = site.run("history", MODEL)
    assert (ran.code, f"request {frozen.freeze.id[:12]}…  not believed" in ran.out) == (1, True)


def test_an_undecided_desk_that_bears_another_requests_submission_is_not_believed(
    site: Site, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, submit = site.world.submit(name="credit-other"), site.world.submit
    monkeypatch.setattr(site.world, "submit", lambda *given: other if given[2] == "credit-1" else submit(*given))
    frozen = story.asked(2)
    ran = site.run("history", MODEL)
    assert (ran.code, f"request {frozen.freeze.id[:12]}…  not believed" in ran.out) == (1, True)
    assert "is the submission of another request" in " ".join(ran.out.split())


def test_an_altered_desk_may_belong_here_and_is_told(site: Site, story: Story) -> None:
    story.decided(3, story.asked(2))
    frozen = story.asked(4, attempt=2)
    site.overwrite(layout.freeze(frozen.freeze.id, frozen.digest), frozen.payload + b" ")
    ran = site.run("history", MODEL)
    assert ran.code == 2
    assert "Whether these belong to this history cannot be told:" in ran.out
    assert f"a desk of the undecided request {frozen.freeze.id}" in " ".join(ran.out.split())


def test_a_rejection_under_another_name_that_does_not_verify_is_told(site: Site, story: Story) -> None:
    story.decided(3, story.asked(2))
    rejected = story.decided(4, story.asked(3, model={"name": "credit-other", "version": "9"}), DAVID, verdict="Reject")
    site.overwrite(layout.event(rejected.id), b"{}")
    ran = site.run("history", MODEL)
    assert (ran.code, f"request {rejected.id}, of another name: rule 1 (form)" in " ".join(ran.out.split())) == (2, True)


def test_whether_an_event_was_revoked_may_not_be_told(site: Site, story: Story) -> None:
    verified = story.decided(3, story.asked(2))
    site.world.store.create(layout.correction(verified.digest, "0" * 64), b"{}")
    ran = site.run("history", MODEL)
    assert ran.code == 2
    assert "whether it was revoked cannot be told, nor then what is live" in " ".join(ran.out.split())


def test_a_model_that_nobody_asked_for_is_said(site: Site) -> None:
    site.promoted()
    ran = site.run("history", "no-such-model")
    assert (ran.code, "The archive holds nothing of no-such-model" in ran.out) == (1, True)
    assert site.run("history", "no-such-model", "-o", "json").json["entries"] == []


def test_what_acts_on_a_terminal_stays_text(site: Site, story: Story) -> None:
    story.decided(3, story.asked(2, reason="<b>bold</b>\nline two"))
    assert "<b>bold</b>\n                  line two" in site.run("history", MODEL).out
    ran = site.run("history", "\x1b[2J")
    assert (ran.code, "[U+001B][2J" in ran.out, "\x1b" in ran.out) == (1, True, False)


@pytest.mark.parametrize("order", ["revoked first", "revoked last", "revoked in between", "none revoked"])
def test_what_is_live_by_the_timeline_is_what_the_reader_says(site: Site, story: Story, order: str) -> None:
    first = story.decided(3, story.asked(2))
    second = story.decided(5, story.asked(4, live=first, model=NEXT))
    third = story.decided(7, story.asked(6, live=second, model={"version": "2.6.0", "digest": sha256(b"2.6.0")}))
    revoked = {"revoked first": [first], "revoked last": [third, second], "revoked in between": [second, third], "none revoked": []}[order]
    for day, one in enumerate(revoked, 8):
        story.revoked(day, one)
    entries = site.run("history", MODEL, "-o", "json").json["entries"]
    changes = [change["now"] for one in entries for change in one.get("live", ())]
    live = site.world.reader.incumbent(MODEL, "production", "demo")
    assert live is not None
    assert changes[-1] == live.id


def test_machines_read_the_whole_account_of_each_outcome(site: Site, story: Story) -> None:
    verified = story.decided(3, story.asked(2))
    value = site.run("history", MODEL, "-o", "json").json
    [outcome] = [one["outcome"] for one in value["entries"] if one["kind"] == "promoted"]
    [why] = site.run("why", MODEL, "-o", "json").json["outcomes"]
    assert outcome == why
    assert value["live"] == [
        {
            "environment": "production",
            "cluster": "demo",
            "promotion": {
                "id": verified.id,
                "event": verified.digest,
                "version": "2.4.0",
                "digest": SPEC["model"]["image"].partition("@")[2],
            },
        }
    ]
