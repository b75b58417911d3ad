"""Four eyes at the seal's door: a second publisher agrees to the very text that was published; and what is in force meanwhile."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from world import PAULA, PIA

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.request import read_spec
from signoff.record.values import Digest, parse_digest
from signoff.verify.policies import InForce, in_force
from signoff.verify.reader import Reader
from signoff.webhook.evidence import Noting
from signoff.webhook.policies import AGREES
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import UID, policy, promotion, review, user
from tests.webhook.test_policies_door import CHECK, SEAL, stricter

Value = dict[str, Any]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """The seal's door under a trust file that asks for four eyes."""
    with Listening(tmp_path_factory.mktemp("four-eyes"), four_eyes=True) as listening:
        yield listening


def ask(door: Listening, path: str, obj: Value, old: Value | None, who: str, **changes: Any) -> Answer:
    operation = "CREATE" if old is None else "UPDATE"
    answered = door.ask(path, review(obj, "promotionpolicies", operation=operation, old=old, userInfo=user(who), **changes))
    require_contract(answered, UID)
    return answered


def patched(obj: Value, answered: Answer) -> Value:
    assert answered.response["allowed"], answered.message
    final = deepcopy(obj)
    for operation in json.loads(base64.b64decode(answered.response.get("patch", "W10="))):
        assert (operation["op"], operation["path"]) == ("add", "/publication")
        final["publication"] = operation["value"]
    return final


def applied(door: Listening, obj: Value, old: Value | None = None, who: str = "paula") -> Value:
    """Let a person's object through both webhooks, and return it as it is then."""
    final = patched(obj, ask(door, SEAL, obj, old, who))
    assert ask(door, CHECK, final, old, who).response["allowed"]
    return final


def named(name: str) -> Value:
    value = policy()
    value["metadata"]["name"] = name
    return value


def asking(obj: Value, digest: str | None = None) -> Value:
    """The object with the annotation by which somebody agrees to it."""
    value = deepcopy(obj)
    value["metadata"].setdefault("annotations", {})[AGREES] = digest or obj["publication"]["statement"]
    return value


def agreed(door: Listening, obj: Value, who: str = "pia") -> Value:
    return applied(door, asking(obj), obj, who)


def statements(door: Listening) -> list[str]:
    return sorted(door.world.store.list("statements/policy/"))


def found(door: Listening, *resources: Value, reader: Reader | None = None) -> InForce:
    return in_force(resources, reader or door.world.reader, read_spec(promotion()["spec"]))


def refused(door: Listening, obj: Value, old: Value | None, who: str, why: str) -> None:
    """Both webhooks refuse it, and nothing is signed."""
    before = statements(door)
    assert why in ask(door, SEAL, obj, old, who).message
    assert why in ask(door, CHECK, obj, old, who).message
    assert statements(door) == before


def test_a_policy_is_in_force_once_two_publishers_agreed(door: Listening) -> None:
    first = applied(door, named("two-of-us"))
    waiting = found(door, first)
    assert waiting.published == ()
    assert "awaits the agreement of a second publisher; kubectl signoff policy agree two-of-us" in waiting.ignored[0]
    final = agreed(door, first)
    second = final["publication"]["second"]
    assert (second["issuer"], second["subject"], second["name"]) == (PIA.issuer, PIA.subject, PIA.name)
    assert {**final["publication"], "second": None} == {**first["publication"], "second": None}
    digests = [parse_digest(one) for one in (final["publication"]["statement"], second["statement"])]
    one, other = (json.loads(read_bundle(archived(door, digest), "policy").payload)["predicate"] for digest in digests)
    assert (one["name"], one["content"]) == (other["name"], other["content"])
    [published] = found(door, final).published
    assert [published.statement, published.second] == digests


def archived(door: Listening, digest: Digest) -> bytes:
    return door.world.store.read(layout.statement("policy", digest), limit=MAX_BUNDLE).data


def test_nobody_agrees_to_their_own(door: Listening) -> None:
    first = applied(door, named("my-own"))
    refused(door, asking(first), first, "paula", "published this text, and cannot be the second")
    theirs = applied(door, stricter(named("hers")), None, "pia")
    refused(door, asking(theirs), theirs, "pia", "published this text, and cannot be the second")
    assert "second" in agreed(door, theirs, "paula")["publication"]


@pytest.mark.parametrize("who", ["ben", "carla", "Pia", "pia2"])
def test_whoever_is_no_publisher_cannot_agree(door: Listening, who: str) -> None:
    first = applied(door, named(f"not-by-{who.lower()}"))
    refused(door, asking(first), first, who, "is no policy publisher")


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:", "yes", "true"])
def test_an_agreement_is_to_the_statement_that_was_read(door: Listening, digest: str) -> None:
    first = applied(door, named("read-me"))
    refused(door, asking(first, digest), first, "pia", "is not the statement that is published now")
    changed = applied(door, stricter(first), first)
    stale = asking(changed, first["publication"]["statement"])
    refused(door, stale, changed, "pia", "read the policy again, then agree: kubectl signoff policy agree NAME")


def test_nobody_agrees_before_it_was_published_or_while_it_changes(door: Listening) -> None:
    fresh = named("unread")
    refused(door, asking(fresh, "sha256:" + "0" * 64), None, "pia", "agree after it was published")
    first = applied(door, fresh)
    refused(door, asking(stricter(first)), first, "pia", "nobody agrees to a text before it was published")
    bare = {key: value for key, value in first.items() if key != "publication"}
    refused(door, asking(bare, first["publication"]["statement"]), bare, "pia", "(none is)")


def test_nothing_but_the_annotation_agrees_and_nothing_drops_what_was_agreed(door: Listening) -> None:
    first = applied(door, named("labelled"))
    labelled = deepcopy(first)
    labelled["metadata"]["labels"] = {"a": "b"}
    labelled["metadata"]["annotations"] = {"signoff.dev/agreed": first["publication"]["statement"]}
    assert "second" not in applied(door, labelled, first, "pia")["publication"], "applying the same text agrees to nothing"
    final = agreed(door, first)
    without = deepcopy(final)
    without["metadata"]["annotations"] = {}
    for who in ("ben", "paula", "pia"):
        assert applied(door, without, final, who)["publication"] == final["publication"]
    # kubectl replace sends the manifest alone.
    bare = {key: value for key, value in asking(first).items() if key != "publication"}
    assert patched(bare, ask(door, SEAL, bare, first, "pia"))["publication"].keys() == final["publication"].keys()


def test_agreeing_again_changes_nothing(door: Listening) -> None:
    final = agreed(door, applied(door, named("again")))
    before = statements(door)
    without = deepcopy(final)
    del without["metadata"]["annotations"]
    again = ask(door, SEAL, asking(without), without, "pia").response
    assert "patch" not in again
    assert "warnings" not in again
    assert agreed(door, without)["publication"] == final["publication"]
    third = ask(door, SEAL, asking(without), without, "paul").response
    assert "patch" not in third
    assert "pia@bank.example agreed to this text at" in third["warnings"][0]
    assert ask(door, CHECK, asking(without), without, "paul").response["allowed"]
    assert applied(door, final, final, "pia")["publication"] == final["publication"]
    assert statements(door) == before


def test_a_dry_run_agrees_to_nothing_and_is_checked_all_the_same(door: Listening) -> None:
    first, before = applied(door, named("dry")), statements(door)
    assert "patch" not in ask(door, SEAL, asking(first), first, "pia", dryRun=True).response
    assert ask(door, CHECK, asking(first), first, "pia", dryRun=True).response["allowed"]
    assert "is no policy publisher" in ask(door, SEAL, asking(first), first, "ben", dryRun=True).message
    assert "cannot be the second" in ask(door, SEAL, asking(first), first, "paula", dryRun=True).message
    assert "before it was published" in ask(door, SEAL, asking(stricter(first)), first, "pia", dryRun=True).message
    assert [one for one in statements(door) if one not in before] == []


def test_nobody_else_writes_the_agreement(door: Listening) -> None:
    first = applied(door, named("forged"))
    final = agreed(door, first)
    second = final["publication"]["second"]
    for forged in (
        {**first["publication"], "second": second},
        {**first["publication"], "second": {"statement": first["publication"]["statement"]}},
        {key: value for key, value in first["publication"].items() if key != "time"},
    ):
        for path in (SEAL, CHECK):
            assert "only admission writes this field" in ask(door, path, first | {"publication": forged}, first, "pia").message
    dropped = final | {"publication": first["publication"]}
    for path in (SEAL, CHECK):
        assert "only admission writes this field" in ask(door, path, dropped, final, "paula").message


def test_the_validating_twin_looks_at_the_final_object(door: Listening) -> None:
    first = applied(door, named("twin"))
    obj = asking(first)
    final = patched(obj, ask(door, SEAL, obj, first, "pia"))
    assert "has not signed this agreement" in ask(door, CHECK, obj, first, "pia").message
    publication, second = final["publication"], final["publication"]["second"]
    own = {"statement": publication["statement"], **{name: publication[name] for name in ("issuer", "subject", "name", "time")}}
    other = agreed(door, applied(door, named("twin-2")))["publication"]["second"]
    for forged, why in (
        ({**second, "subject": "paula@bank.example"}, "says other than what was published"),
        (own, "is by somebody else"),
        (other, "is of another policy"),
        ({}, "is not a digest"),
    ):
        assert why in ask(door, CHECK, obj | {"publication": {**publication, "second": forged}}, first, "pia").message
    moved = obj | {"publication": {**publication, "name": "Paula"}}
    assert "only admission writes this field" in ask(door, CHECK, moved, first, "pia").message
    created = named("twin-3")
    fresh = patched(created, ask(door, SEAL, created, None, "paula"))
    for name, why in (("second", "nobody has read this text yet"), ("inForce", "is not what was in force")):
        false = fresh | {"publication": {**fresh["publication"], name: second}}
        assert why in ask(door, CHECK, false, None, "paula").message


def test_what_was_edited_past_admission_is_agreed_to_by_nobody(door: Listening) -> None:
    edited = stricter(applied(door, named("edited")))
    refused(door, asking(edited), edited, "pia", "is of another policy, or of another text")


def test_a_changed_text_needs_both_again_and_the_old_one_stays_in_force(door: Listening) -> None:
    before = agreed(door, applied(door, named("changing")))
    old = found(door, before).published[0]
    changed = applied(door, stricter(before), before)
    publication = changed["publication"]
    assert "second" not in publication
    assert publication["inForce"] == {"statement": old.statement, "second": old.second}
    meanwhile = found(door, changed)
    assert meanwhile.published == (old,)
    assert "its text of now awaits the agreement of a second publisher" in meanwhile.ignored[0]
    twice = deepcopy(changed)
    twice["spec"]["models"] = [{"names": ["toy-*"], "namespaces": ["toys"]}]
    twice = applied(door, twice, changed, "pia")
    assert twice["publication"]["inForce"] == publication["inForce"], "what nobody agreed to is never in force"
    assert found(door, twice).published == (old,), "it covers what it covered, whatever its new text speaks of"
    final = agreed(door, changed)
    assert "inForce" not in final["publication"]
    [now] = found(door, final).published
    assert now.spec.tiers["tier-2"].quorum == 2


def test_what_should_stay_in_force_and_does_not_hold_stops_what_it_may_cover(door: Listening) -> None:
    before = agreed(door, applied(door, named("stopped")))
    other = stricter(before)
    other["spec"]["models"] = [{"names": ["toy-*"], "namespaces": ["toys"]}]
    changed = applied(door, other, before)
    publication = changed["publication"]
    alone = {**publication["inForce"], "second": publication["inForce"]["statement"]}
    nowhere = {**publication["inForce"], "statement": "sha256:" + "0" * 64}
    elsewhere = agreed(door, applied(door, named("stopped-2")))["publication"]
    others = {"statement": elsewhere["statement"], "second": elsewhere["second"]["statement"]}
    for false in (alone, nowhere, others, {"statement": alone["statement"]}, {}, "x", None):
        with pytest.raises(CouldNotTell, match="which policies are in force cannot be told, for policy stopped"):
            found(door, changed | {"publication": {**publication, "inForce": false}})


def test_an_agreement_that_was_edited_past_admission_stops_what_it_may_cover(door: Listening) -> None:
    final = agreed(door, applied(door, named("past")))
    publication, second = final["publication"], final["publication"]["second"]
    mine = door.world.publish("past", final["spec"], by=PIA.model_copy(update={"subject": "ben@bank.example"}))
    other = agreed(door, applied(door, stricter(named("past"))))["publication"]["second"]
    for statement in (publication["statement"], mine.statement, other["statement"], "sha256:" + "0" * 64, "", 7):
        with pytest.raises(CouldNotTell, match="which policies are in force cannot be told, for policy past"):
            found(door, final | {"publication": {**publication, "second": {**second, "statement": statement}}})
    for false in (None, {}, "x"):
        with pytest.raises(CouldNotTell):
            found(door, final | {"publication": {**publication, "second": false}})
    assert found(door, final | {"publication": {key: publication[key] for key in publication if key != "second"}}).published == ()


def test_without_four_eyes_a_second_may_agree_and_is_never_ignored(door: Listening) -> None:
    world = door.world
    final = agreed(door, applied(door, named("lenient")))
    lenient = Reader(world.store, world.trust_with(publishers=(PAULA, PIA)))
    [published] = found(door, final, reader=lenient).published
    assert published.second == final["publication"]["second"]["statement"]
    alone = {**final["publication"], "second": {"statement": final["publication"]["statement"]}}
    with pytest.raises(CouldNotTell, match="cannot be the second as well"):
        found(door, final | {"publication": alone}, reader=lenient)


def test_the_gates_evidence_holds_both_statements(door: Listening) -> None:
    world = door.world
    policy_of_two = world.agreed(world.published)
    assert policy_of_two.second is not None
    frozen = world.freeze(policies=(policy_of_two,))
    key = layout.event(frozen.freeze.id)
    world.store.create(key, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]))
    noting = Noting(world.store)
    reader = Reader(noting, world.trust)
    with noting.noted() as evidence:
        assert reader.outcome(frozen.freeze.id).promotes
    whole = noting.with_policies(evidence)
    assert whole is not None
    for digest in (policy_of_two.statement, policy_of_two.second):
        assert whole.objects[layout.statement("policy", digest)] == archived(door, digest)
