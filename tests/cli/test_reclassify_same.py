"""By the very policies of then every promotion comes out the same: whatever these are, and whatever was asked."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from archive_fixture import Site
from checking import DRIFTED, QUIET, bring, weekly
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from story import Story
from world import POLICY, World, trusted_key

from signoff.cli.replay import Question, replay
from signoff.cli.replayed import Replayed
from signoff.policy.routing import NoRoute
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.values import sha256
from signoff.verify.verifier import Verified

CHECKER: Final = PemSigner(generate_pem())
APPROVER: Final = {"name": "approver", "groups": ["model-approvers"], "count": 1}
RISK: Final = {"name": "model-risk", "groups": ["model-risk"], "count": 1}
ONE: Final = {"quorum": 1, "roles": [APPROVER], "fourEyes": True, "assurance": "api-server"}
ASKS: Final = [ONE, {**ONE, "quorum": 3}, {**ONE, "quorum": 2, "roles": [APPROVER, RISK]}]

CONDITIONS: Final = (
    "incumbent.exists",
    "!incumbent.exists",
    'incumbent.tier == "tier-2"',
    'incumbent.version == "2.4.0"',
    'model.class == "credit decision"',
    "validity.hours > 24",
    '"credit" in target.namespaces',
    '{"a": true}["b"]',
)
CLAIMS: Final = ('claims.candidate["auc"] < 0.9', 'claims.materiality["population"] != "unchanged"', 'claims.incumbent["auc"] > 0.5')


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy: some rules with conditions, perhaps an emergency, perhaps a check, perhaps what raises; and what its tiers ask for."""
    tier = st.sampled_from(["tier-1", "tier-2"])
    listed: list[dict[str, Any]] = [
        {"name": f"rule-{number}", "tier": draw(tier), "when": when}
        for number, when in enumerate(draw(st.lists(st.sampled_from(CONDITIONS), max_size=3, unique=True)))
    ]
    if draw(st.booleans()):
        listed.insert(0, {"name": "outage", "tier": "tier-2", "emergency": True})
    if draw(st.booleans()) or not listed:
        listed.append({"name": "all", "tier": draw(tier)})
    laxer, stricter = draw(st.sampled_from([(0, 0), (0, 1), (0, 2), (1, 1), (2, 2)]))
    made = {
        "models": [{"names": ["credit-*"], "namespaces": ["credit"], **draw(st.sampled_from([{}, {"class": "credit decision"}]))}],
        "rules": listed,
        "tiers": {"tier-1": ASKS[stricter], "tier-2": ASKS[laxer]},
    }
    raising = draw(st.lists(st.sampled_from(CLAIMS), max_size=2, unique=True))
    if raising:
        made["raise"] = [{"name": f"raise-{number}", "tier": "tier-1", "when": when} for number, when in enumerate(raising)]
    return weekly(made, CHECKER.key_id) if draw(st.booleans()) else made


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """What a request says, beside what it asks for."""
    chosen: dict[str, Any] = {"validFor": draw(st.sampled_from(["12h", "24h", "8760h"]))}
    chosen["materiality"] = draw(st.sampled_from([{"population": "unchanged"}, {"population": "other"}, {"exposure": "retail"}]))
    return chosen


def story_in(folder: Path) -> Story:
    site = Site(World(folder), None)  # type: ignore[arg-type]
    keys = [trusted_key(site.world.seal_key, "seal"), trusted_key(site.world.event_key, "event"), trusted_key(CHECKER, "check")]
    site.trusting(site.world.trust_with(keys=keys))
    return Story(site)


def again(story: Story, verified: Verified, texts: list[dict[str, Any]]) -> Replayed:
    """Replay a promotion against the texts of then, read anew as from files."""
    world = story.site.world
    tried = tuple(world.publish(f"policy-{number}", json.loads(json.dumps(text))) for number, text in enumerate(texts))
    found = replay(world.reader, verified.id, Question(tried, None, datetime.now(UTC)))
    assert isinstance(found, Replayed)
    return found


@given(
    texts=st.lists(policies(), min_size=1, max_size=2),
    asked=st.lists(requests(), min_size=1, max_size=3),
    figures=st.sampled_from([None, QUIET, DRIFTED]),
    revoked=st.booleans(),
)
@settings(max_examples=40, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
def test_by_the_policies_of_then_every_promotion_is_the_same(
    texts: list[dict[str, Any]], asked: list[dict[str, Any]], figures: dict[str, str] | None, revoked: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = story_in(Path(folder) / "archive")
        world = story.site.world
        published = tuple(world.publish(f"policy-{number}", text) for number, text in enumerate(texts))
        made: list[Verified] = []
        for number, spec in enumerate(asked):
            model = {"version": f"2.4.{number}", "digest": sha256(str(number).encode())}
            checked = number == len(asked) - 1
            last = partial(bring, signer=CHECKER, figures=figures) if checked and figures else lambda _: None
            live = made[-1] if made else None
            try:
                frozen = story.asked(2 + 2 * number, live=live, model=model, policies=published, last=last, **spec)
            except NoRoute:
                reject()  # the two ask for different people: then nothing was promoted
            if frozen.freeze.route.requirement.is_engines:
                break  # what the engine decides takes its account; whom it asks is told by the route alone
            made.append(story.decided(3 + 2 * number, frozen))
        if revoked and made:
            story.revoked(20, made[0])
        for one in made:
            found = again(story, one, texts)
            assert (found.verdict, found.why, found.missing) == ("same", (), ())
            assert found.promotion is not None
            assert found.now == found.promotion.then, "the same rule of the same policy, not only as strict"


def test_the_texts_are_not_all_alike() -> None:
    """The strategy would prove nothing if it made one kind of policy."""
    seen: set[str] = set()

    @given(policies())
    @settings(max_examples=60, deadline=None, database=None)
    def look(text: dict[str, Any]) -> None:
        seen.update(rule["name"].partition("-")[0] for rule in (*text["rules"], *text.get("raise", ())))
        seen.update(text["tiers"])

    look()
    assert {"rule", "outage", "all", "weekly", "raise", "tier-1", "tier-2", "tier-3"} <= seen
    assert POLICY["tiers"].keys() <= seen
