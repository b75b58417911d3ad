"""`signoff reclassify`: what was promoted, replayed against another policy, over real archives."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import Ran, Site, manifest
from story import MODEL, Story
from world import DAVID, POLICY

from signoff.archive import layout
from signoff.record.values import sha256

APPROVER = {"name": "approver", "groups": ["model-approvers"], "count": 1}
RISK = {"name": "model-risk", "groups": ["model-risk"], "count": 1}
ONE = {"quorum": 1, "roles": [APPROVER], "fourEyes": True, "assurance": "api-server"}
TWO = {**ONE, "quorum": 2}
COMMITTEE = {**ONE, "quorum": 2, "roles": [APPROVER, RISK]}
RISK_ALONE = {**ONE, "roles": [RISK]}
OF_OTHERS = [{"names": ["other"], "namespaces": ["*"]}]
ELSEWHERE = [{"names": ["*"], "namespaces": ["x"]}]


def policy(rules: list[dict[str, Any]], tiers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**deepcopy(POLICY), "rules": rules, "tiers": tiers, **changes}


def always(tier: str, asks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return policy([{"name": "always", "tier": tier}], {tier: asks}, **changes)


FIRST = [{"name": "first", "tier": "tier-1", "when": "!incumbent.exists"}, {"name": "later", "tier": "tier-2"}]
OUTAGE = [{"name": "outage", "tier": "tier-2", "emergency": True, "when": "true"}, {"name": "all", "tier": "tier-2"}]


@pytest.fixture
def story(site: Site) -> Story:
    return Story(site)


def reclassify(site: Site, tmp_path: Path, *policies: dict[str, Any], flags: tuple[str, ...] = ()) -> Ran:
    named: list[str] = []
    for number, one in enumerate(policies):
        value = {"kind": "PromotionPolicy", "metadata": {"name": f"policy-{number}"}, "spec": one}
        named += ["--policy", str(manifest(tmp_path, value, f"policy-{number}.yaml"))]
    return site.run("reclassify", *named, *flags)


def rows(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def only(site: Site, tmp_path: Path, *policies: dict[str, Any]) -> dict[str, Any]:
    """Return the one promotion of the archive, replayed."""
    one, summary = rows(reclassify(site, tmp_path, *policies, flags=("-o", "json")))
    assert (one["kind"], summary["kind"], summary["promotions"]) == ("promotion", "summary", 1)
    return one


# the policy of then, those of now; what comes of it, the exit code, and what is said
VERDICTS: dict[str, tuple[dict[str, Any], tuple[dict[str, Any], ...], str, int, tuple[str, ...]]] = {
    "the very same text": (POLICY, (POLICY,), "same", 0, ()),
    "another name of a rule": (POLICY, (always("tier-2", ONE),), "same", 0, ()),
    "a stricter tier": (POLICY, (always("tier-1", ONE),), "stricter", 1, ("tier-1 instead of tier-2",)),
    "more people": (POLICY, (always("tier-2", TWO),), "stricter", 1, ("asks for 2 in all", "instead of 1 in all")),
    "other people": (POLICY, (always("tier-2", RISK_ALONE),), "stricter", 1, ("1 as model-risk (model-risk)",)),
    "a laxer tier of the same people": (always("tier-1", ONE), (POLICY,), "laxer", 0, ("tier-2 instead of tier-1",)),
    "fewer people": (always("tier-2", COMMITTEE), (POLICY,), "laxer", 0, ("asks for 1 in all",)),
    "a laxer tier of other people": (
        always("tier-1", TWO),
        (always("tier-2", RISK_ALONE),),
        "stricter",
        1,
        (),
    ),
    "another model": (
        POLICY,
        ({**POLICY, "models": OF_OTHERS},),
        "not covered",
        0,
        ("no published policy",),
    ),
    "another namespace": (
        POLICY,
        ({**POLICY, "models": ELSEWHERE},),
        "not covered",
        0,
        ("namespace credit",),
    ),
    "the strictest of two": (POLICY, (POLICY, always("tier-1", TWO)), "stricter", 1, ("tier-1 instead of tier-2",)),
    "one of two that does not cover it": (
        POLICY,
        (POLICY, always("tier-1", TWO, models=OF_OTHERS)),
        "same",
        0,
        (),
    ),
    "two for different people": (POLICY, (POLICY, always("tier-2", RISK_ALONE)), "could not tell", 2, ("different people",)),
    "a first version": (POLICY, (policy(FIRST, {"tier-1": ONE, "tier-2": ONE}),), "stricter", 1, ("tier-1 instead of tier-2",)),
    "a condition without an answer": (
        POLICY,
        (policy([{"name": "odd", "tier": "tier-2", "when": '{"a": true}["b"]'}], {"tier-1": ONE, "tier-2": ONE}),),
        "stricter",
        1,
        ("tier-1 instead of tier-2",),
    ),
    "a claim that raises": (
        POLICY,
        (
            {
                **policy([{"name": "all", "tier": "tier-2"}], {"tier-1": ONE, "tier-2": ONE}),
                "raise": [{"name": "exposed", "tier": "tier-1", "when": 'claims.materiality["exposure"] == "retail-lending"'}],
            },
        ),
        "stricter",
        1,
        (),
    ),
    "no emergency for a year": (POLICY, (policy(OUTAGE, {"tier-2": ONE}),), "same", 0, ()),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_each_promotion_is_told_then_and_now(site: Site, story: Story, tmp_path: Path, case: str) -> None:
    then, now, verdict, code, words = VERDICTS[case]
    verified = story.decided(3, story.asked(2, policies=(site.world.publish("credit-models", then),)))
    found = only(site, tmp_path, *now)
    assert (found["verdict"], found["id"]) == (verdict, verified.id)
    assert found["promotion"]["then"]["tier"] == verified.freeze.route.tier
    told = " ".join(found["why"])
    assert all(word in told for word in words), told
    assert bool(found["why"]) == (verdict != "same")
    ran = reclassify(site, tmp_path, *now)
    assert ran.code == code
    assert ("credit-scoring 2.4.0  " + verdict in ran.out) == (verdict != "same")
    assert " ".join(ran.out.split()).startswith("the whole archive, as policy-0")
    assert f"\n  {verdict:<16}1\n" in ran.out


def test_people_read_the_summary_first_then_what_differs(site: Site, story: Story, tmp_path: Path) -> None:
    verified = story.decided(3, story.asked(2), DAVID)
    story.decided(5, story.asked(4, attempt=2), DAVID, verdict="Reject")
    ran = reclassify(site, tmp_path, always("tier-1", COMMITTEE), flags=(MODEL,))
    assert ran.err == ""
    assert ran.out.startswith("credit-scoring, as policy-0 would route it\n\n  promotions      1\n")
    told = " ".join(ran.out.split())
    for words in (
        "passed over 1 rejection",
        "due 1 promotion of 1 image: admitted today, and stricter",
        "then tier-2 by credit-models, rule named-individual asked for 1 in all, 1 as approver (model-approvers)",
        "now tier-1 by policy-0, rule always asks for 2 in all, 1 as approver (model-approvers) and 1 as model-risk (model-risk)",
        "approved by david@bank.example at 2026-03-03T11:59:00Z as approver (model-approvers)",
        "would suffice no: 1 more in role model-risk (model-risk)",
        "against challenger 2.3 retrained on the same data 2.3.2; challenger logistic-regression scorecard 5.1.0",
        "admitted until 2027-03-03 11:59:00 UTC",
        verified.digest,
        "Admitted today, and would be routed more strictly: registry.bank.example/models/credit-scoring@sha256:2ded",
        "tier-2 then, tier-1 now; request credit/credit-1",
    ):
        assert words in told, words


# the groups that the approvers' seals name, what is asked now, and who is missing (None: nobody)
SUFFICE: dict[str, tuple[list[list[str]], dict[str, Any], str | None]] = {
    "the same": ([["model-approvers"]], ONE, None),
    "the same group in a role of another name": ([["model-approvers"]], {**ONE, "roles": [{**APPROVER, "name": "signatory"}]}, None),
    "another group in a role of the same name": (
        [["model-approvers"]],
        {**ONE, "roles": [{**APPROVER, "groups": ["model-risk"]}]},
        "1 more in role approver (model-risk)",
    ),
    "too few": ([["model-approvers"]], TWO, "1 more of 2"),
    "two people for two places": ([["model-approvers"], ["model-approvers", "model-risk"]], COMMITTEE, None),
    "one person for two places": ([["model-approvers", "model-risk"]], COMMITTEE, "1 more in role model-risk (model-risk)"),
}


@pytest.mark.parametrize("case", SUFFICE)
def test_whether_the_approvers_of_then_suffice_is_asked_of_their_groups(site: Site, story: Story, tmp_path: Path, case: str) -> None:
    groups, asks, missing = SUFFICE[case]
    either = {**ONE, "quorum": len(groups), "roles": [{**APPROVER, "groups": ["model-approvers", "model-risk"]}]}
    frozen = story.asked(2, policies=(site.world.publish("credit-models", always("tier-2", either)),))
    story.grouped(3, frozen, groups)
    found = only(site, tmp_path, always("tier-1", asks))
    assert found["missing"] == ([missing] if missing else [])


def test_people_stand_in_for_the_engine(site: Site, story: Story, tmp_path: Path) -> None:
    from checking import bring, weekly
    from world import trusted_key

    from signoff.record.keys import PemSigner, generate_pem

    checker = PemSigner(generate_pem())
    keys = [trusted_key(site.world.seal_key, "seal"), trusted_key(site.world.event_key, "event"), trusted_key(checker, "check")]
    site.trusting(site.world.trust_with(keys=keys))
    frozen = story.asked(2, last=lambda given: bring(given, checker))
    verified = story.decided(3, frozen)
    assert verified.freeze.route.tier == "tier-2", "the policy of then named no checker"
    found = only(site, tmp_path, weekly(POLICY, checker.key_id, when='check["psi.max"] < 0.1'))
    assert (found["verdict"], found["now"]["tier"], found["now"]["rule"]) == ("laxer", "tier-3", "weekly-refresh")
    assert found["missing"] == [], "who approved has done more than is asked now"
    stranger = PemSigner(generate_pem())
    assert only(site, tmp_path, weekly(POLICY, stranger.key_id))["verdict"] == "same", "no check by this checker counted"


def later_version(site: Site, story: Story, then: dict[str, Any] = POLICY, revoke: int = 0) -> str:
    """Promote a version after another, and return its id; the first may be revoked on a day."""
    published = (site.world.publish("credit-models", then),)
    first = story.decided(3, story.asked(2, policies=published))
    second = story.decided(6, story.asked(5, live=first, model={"version": "2.5.0", "digest": sha256(b"2.5.0")}, policies=published))
    if revoke:
        story.revoked(revoke, first)
    return second.id


@pytest.mark.parametrize(("revoke", "tier"), [(0, "tier-2"), (8, "tier-2"), (5, "tier-1")])
def test_the_history_of_then_is_read_as_the_archive_stood_then(site: Site, story: Story, tmp_path: Path, revoke: int, tier: str) -> None:
    """The policy of then asked for no facts, so that the payload says nothing of the history: the archive does."""
    request = later_version(site, story, revoke=revoke)
    asked = reclassify(site, tmp_path, policy(FIRST, {"tier-1": ONE, "tier-2": ONE}), flags=("-o", "json"))
    [found] = [one for one in rows(asked) if one.get("id") == request]
    assert found["now"]["tier"] == tier


def test_the_history_that_the_payload_holds_is_believed(site: Site, story: Story, tmp_path: Path) -> None:
    first_is_strict = policy(FIRST, {"tier-1": ONE, "tier-2": ONE})
    request = later_version(site, story, first_is_strict)
    first = next(one for one in site.world.reader.history(MODEL, "production") if one != request)
    site.object_at(layout.event(first)).unlink()
    by_tier = [{"name": "after-tier-1", "tier": "tier-2", "when": 'incumbent.tier == "tier-1"'}, {"name": "else", "tier": "tier-1"}]
    asked = reclassify(site, tmp_path, policy(by_tier, {"tier-1": TWO, "tier-2": ONE}), flags=("-o", "json"))
    [found] = [one for one in rows(asked) if one.get("id") == request]
    assert (found["now"]["rule"], found["verdict"]) == ("after-tier-1", "same")


def test_a_history_that_cannot_be_read_is_told(site: Site, story: Story, tmp_path: Path) -> None:
    later_version(site, story)
    verified = site.world.reader.incumbent(MODEL, "production", "demo")
    assert verified is not None
    first = next(one for one in site.world.reader.history(MODEL, "production") if one != verified.id)
    site.object_at(layout.event(first)).unlink()
    ran = reclassify(site, tmp_path, policy(FIRST, {"tier-1": ONE, "tier-2": ONE}), flags=("-o", "json"))
    assert (ran.code, rows(ran)[0]["verdict"], rows(ran)[0]["promotion"]["version"]) == (2, "could not tell", "2.5.0")


def test_what_is_admitted_today_and_stricter_is_listed_at_the_end(site: Site, story: Story, tmp_path: Path) -> None:
    def version(number: str, day: int, **changes: Any) -> Any:
        live = site.world.reader.incumbent(MODEL, "production", "demo")
        before = site.world.reader.outcome(live.id) if live is not None else None
        model = {"version": number, "digest": sha256(number.encode())}
        return story.decided(day + 1, story.asked(day, live=before, model=model, **changes))

    version("1", 2, validFor="24h")
    revoked, unsure = version("2", 4), version("3", 6)
    standing = version("4", 8)
    story.revoked(20, revoked, reason="<b>")
    site.world.store.create(layout.correction(unsure.digest, "0" * 64), b"{}")
    ran = reclassify(site, tmp_path, always("tier-1", ONE), flags=("-o", "json"))
    told = {one["promotion"]["version"]: one["promotion"].get("admitted") for one in rows(ran)[:-1]}
    assert told == {"1": False, "2": False, "3": None, "4": True}
    assert rows(ran)[-1]["due"] == {"promotions": 2, "images": 2}
    text = reclassify(site, tmp_path, always("tier-1", ONE)).out
    listed = text.partition("Admitted today")[2]
    assert [sha256(number) in listed for number in (b"1", b"2", b"3", b"4")] == [False, False, True, True]
    told_of = " ".join(text.split())
    assert "admitted no: expired at 2026-03-04 11:59:00 UTC" in told_of
    assert "admitted no: revoked by carla@bank.example at 2026-03-20T11:58:00Z: <b>" in told_of
    assert "admitted could not tell: " in told_of
    assert standing.digest in text


def test_an_altered_event_in_the_middle_is_told_and_the_others_too(site: Site, story: Story, tmp_path: Path) -> None:
    requests = sorted(
        story.decided(number + 1, story.asked(number, model={"name": f"credit-{number}"}), DAVID).id for number in range(2, 8)
    )
    path = site.object_at(layout.event(requests[3]))
    site.overwrite(layout.event(requests[3]), path.read_bytes().replace(b'"sig":"M', b'"sig":"N'))
    site.world.store.create("events/readme", b"x")
    ran = reclassify(site, tmp_path, POLICY, flags=("-o", "json"))
    assert ran.code == 2
    told = {one["id"]: one for one in rows(ran)[:-1]}
    assert told.keys() == {*requests, "events/readme"}
    assert {one for one, found in told.items() if found["verdict"] == "could not tell"} == {requests[3], "events/readme"}
    assert "rule 2 (signature)" in told[requests[3]]["why"][0]
    for form in ("text", "csv", "html"):
        assert f"{requests[3]}" in reclassify(site, tmp_path, POLICY, flags=("-o", form)).out, form
    stricter = reclassify(site, tmp_path, always("tier-1", ONE))
    assert stricter.code == 1, "that something would be stricter is known, whatever else is not"


def test_a_model_or_an_environment_leaves_others_out(site: Site, story: Story, tmp_path: Path) -> None:
    story.decided(3, story.asked(2))
    story.decided(4, story.asked(3, model={"name": "credit-other", "version": "7"}))
    whole = rows(reclassify(site, tmp_path, POLICY, flags=("-o", "json")))
    assert [one["promotion"]["model"] for one in whole[:-1]] == ["credit-other", MODEL]
    one = rows(reclassify(site, tmp_path, POLICY, flags=(MODEL, "-o", "json")))
    assert [found["promotion"]["model"] for found in one[:-1]] == [MODEL]
    other = rows(reclassify(site, tmp_path, POLICY, flags=("--environment", "staging", "-o", "json")))
    assert (len(other), other[0]["passedOver"]["elsewhere"]) == (1, 2)


def test_nothing_is_written(site: Site, story: Story, tmp_path: Path) -> None:
    later_version(site, story)

    def archive() -> dict[str, tuple[bytes, int]]:
        return {str(one): (one.read_bytes(), one.stat().st_mtime_ns) for one in site.world.folder.rglob("*") if one.is_file()}

    before = archive()
    assert reclassify(site, tmp_path, policy(FIRST, {"tier-1": ONE, "tier-2": ONE})).code == 1
    assert archive() == before


# what is no policy, and what is said of it
NO_POLICY: dict[str, tuple[str, str]] = {
    "nothing": ("", "holds 0 documents of kind PromotionPolicy"),
    "no YAML": ("a: [", "policy.yaml"),
    "bytes": ("\x00\x01", "policy.yaml"),
    "another kind": (
        json.dumps({"kind": "ModelPromotion", "spec": {}}),
        "holds 0 documents of kind PromotionPolicy",
    ),
    "a list": ("[1, 2]", "holds 0 documents of kind PromotionPolicy"),
    "no name": (json.dumps({"kind": "PromotionPolicy", "spec": POLICY}), "the policy bears no name"),
    "a field more": (json.dumps({**POLICY, "x": 1}), "this field is unknown"),
    "a condition that does not compile": (
        json.dumps({**POLICY, "rules": [{"name": "a", "tier": "tier-2", "when": "model.clas == 1"}]}),
        "undeclared reference",
    ),
    "a tier that is not described": (json.dumps({**POLICY, "rules": [{"name": "a", "tier": "tier-1"}]}), "which tiers does not describe"),
    "an anchor bomb": ("a: &a [x]\nb: &b [*a,*a]\n", "policy.yaml"),
    "two policies": ("---\nkind: PromotionPolicy\n" * 2, "holds 2 documents"),
}


@pytest.mark.parametrize("case", NO_POLICY)
def test_what_is_no_policy_is_one_line_and_code_2(site: Site, tmp_path: Path, case: str) -> None:
    text, words = NO_POLICY[case]
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    ran = site.run("reclassify", "--policy", path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err


def test_a_file_that_is_not_there_and_a_name_that_is_there_twice_are_refused(site: Site, tmp_path: Path) -> None:
    assert "cannot be read" in site.run("reclassify", "--policy", tmp_path / "none.yaml").err
    path = manifest(tmp_path, POLICY, "credit.yaml")
    ran = site.run("reclassify", "--policy", path, "--policy", path)
    assert (ran.code, "two policies bear the name credit" in ran.err) == (2, True)


def test_a_lone_spec_is_called_as_its_file_is(site: Site, story: Story, tmp_path: Path) -> None:
    story.decided(3, story.asked(2))
    ran = site.run("reclassify", "--policy", manifest(tmp_path, always("tier-1", ONE), "strict.yaml"), "-o", "json")
    assert [one["now"]["policy"] for one in rows(ran)[:-1]] == ["strict"]
    assert rows(ran)[-1]["policies"][0]["name"] == "strict"


def test_a_model_that_nobody_asked_for_is_an_error(site: Site, tmp_path: Path) -> None:
    site.promoted()
    ran = reclassify(site, tmp_path, POLICY, flags=("no-such-model",))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: no-such-model: the archive knows no promotion of this model")


def test_an_archive_without_promotions_has_nothing_to_tell(site: Site, tmp_path: Path) -> None:
    ran = reclassify(site, tmp_path, POLICY)
    assert (ran.code, "promotions      0" in ran.out) == (0, True)
    assert rows(reclassify(site, tmp_path, POLICY, flags=("-o", "json")))[0]["promotions"] == 0
    assert "<h2>What differs</h2>" in reclassify(site, tmp_path, POLICY, flags=("-o", "html")).out
