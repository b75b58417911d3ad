"""Verdicts over what the archive says: as a table, and over a real archive in which somebody has put things where they do not belong."""

from __future__ import annotations

import json
import re
import time
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from world import CARLA, SPEC, World, trusted_key

from signoff.archive import layout
from signoff.archive.store import Exists, Missing, Store, Stored, Unavailable
from signoff.gate.lookup import keys, look_up
from signoff.gate.memory import Memory
from signoff.gate.verdict import Archived, Circumstances, Exemption, Unknown, Verdict, digests_asked, judge, tags_asked
from signoff.gate.workloads import MAX_USES, WorkloadReferences, added, references
from signoff.record.promotion import REJECTION_TYPE
from signoff.record.values import Digest, RequestId, parse_time, sha256
from signoff.verify.reader import Found, Reader
from signoff.verify.verifier import Admission, Place

TABLE = yaml.safe_load((Path(__file__).parent / "cases" / "verdict.yaml").read_text(encoding="utf-8"))
NOW = datetime(2026, 3, 4, tzinfo=UTC)
HERE = ("production", "demo", "credit")
EXEMPT = (
    Exemption(repository="registry.bank.example/infra/proxy", reason="a proxy", until=date(2026, 6, 1)),
    Exemption(repository="mirror.example/side/*", reason="logging", until=date(2026, 3, 5)),
    Exemption(repository="old.example/x", reason="has run out", until=date(2026, 3, 4)),
)
AT_POD, AT_TEMPLATE = "spec.", "spec.template.spec."


def digest(letter: str) -> Digest:
    return Digest(f"sha256:{letter * 64}")


def spelled(text: str) -> str:
    text = re.sub(r"<([a-f])>", r"registry.bank.example/models/\1@<sha-\1>", text)
    text = re.sub(r"<([a-f])!>", r"mirror.bank.example/copies/\1@<sha-\1>", text)
    text = text.replace("<sha512>", "sha512:" + "0a" * 64)
    return re.sub(r"<sha-([a-f])>", lambda match: digest(match[1]), text)


def event(name: str) -> Admission:
    one = TABLE["events"][name]
    return Admission(
        id=RequestId(sha256(name.encode())[7:]),
        event=sha256(f"event {name}".encode()),
        promotes=one.get("promotes", True),
        model=one["model"],
        version=one["version"],
        image=spelled("<a>"),
        images=frozenset(map(digest, one["images"])),
        artifacts=frozenset(map(digest, one.get("artifacts", ""))),
        environment=one.get("environment", "production"),
        clusters=frozenset(one.get("clusters", ["demo"])),
        namespaces=frozenset(one.get("namespaces", ["credit"])),
        valid_until=parse_time(one["until"]) if "until" in one else None,
        on_expiry=one.get("onExpiry", "deny-all"),
        tier=one.get("tier", "tier-2"),
        revoked=one.get("revoked", ""),
    )


def pod_spec(
    images: list[str], init: tuple[str, ...] = (), ephemeral: tuple[str, ...] = (), volumes: tuple[str, ...] = ()
) -> dict[str, Any]:
    def all_of(texts: Any) -> list[dict[str, str]]:
        return [{"image": spelled(text)} for text in texts]

    return {
        "containers": all_of(images),
        "initContainers": all_of(init),
        "ephemeralContainers": all_of(ephemeral),
        "volumes": [{"image": {"reference": spelled(text)}} for text in volumes],
    }


def workload(spec: dict[str, Any], *, template: bool = False) -> WorkloadReferences:
    if template:
        return references({"spec": {"template": {"spec": spec}}}, kind="Deployment", api_version="apps/v1")
    return references({"spec": spec}, kind="Pod", api_version="v1")


def archived(case: dict[str, Any], asked: frozenset[Digest]) -> Archived:
    told = case.get("found", {})
    found: dict[Digest, Found | Unknown] = {}
    for letter in "abcdef":
        held = told.get(letter, [])
        if held == "none" or digest(letter) not in asked:
            continue
        if isinstance(held, dict):
            found[digest(letter)] = Unknown(held["unknown"])
        else:
            found[digest(letter)] = Found(tuple(map(event, held)), tuple(told.get(f"{letter} refused", ())))
    pins = {tuple(name.rsplit(":", 1)): spelled(pin) for name, pin in case.get("pins", {}).items()}
    return Archived(found, pins)


def verdict_on(case: dict[str, Any]) -> Verdict:
    parts = {name: tuple(case[name]) for name in ("init", "ephemeral", "volumes") if name in case}
    uses = workload(pod_spec(case["images"], **parts), template=case.get("template", False))
    old = workload(pod_spec(case["old"]), template=case.get("template", False)).uses if "old" in case else ()
    since = parse_time(case["since"]) if "since" in case else None
    around = Circumstances(Place(*case.get("place", HERE)), NOW, EXEMPT, since)
    return judge(uses, added(uses.uses, old), archived(case, digests_asked(uses, around)), around)


CASES = [pytest.param(case, id=case["name"]) for case in TABLE["cases"]]


@pytest.mark.parametrize("case", CASES)
def test_the_verdict(case: dict[str, Any]) -> None:
    verdict = verdict_on(case)
    at = AT_TEMPLATE if case.get("template") else AT_POD
    expected = case.get("findings", [])
    assert [finding.path for finding in verdict.findings] == [at + path for path, *_ in expected], [str(one) for one in verdict.findings]
    for finding, (_, why, mend) in zip(verdict.findings, expected, strict=True):
        assert spelled(why) in finding.why
        assert spelled(mend) in finding.mend
    assert verdict.admitted is (not expected)
    assert verdict.unsure is case.get("unsure", False)
    assert verdict.expired is case.get("expired", False)
    warnings = case.get("warnings", [])
    assert len(verdict.warnings) == len(warnings), verdict.warnings
    for told, expected_words in zip(verdict.warnings, warnings, strict=True):
        assert expected_words in told
    if not expected:
        assert set(verdict.events) == {event(name).event for name in case.get("by", [])}


@pytest.mark.parametrize("case", [case for case in CASES if "findings" in case.values[0]])
def test_a_denial_reads_well_in_one_line(case: dict[str, Any]) -> None:
    for finding in verdict_on(case).findings:
        line = str(finding)
        assert line.isprintable()
        assert "is immutable" not in line
        assert "immutable field" not in line
        assert line.startswith("spec.")
        assert line.count("; ") >= 1
        assert not line.endswith((".", ";", " "))
        assert len(line) < 500
        assert re.search(r"; (draft|pin|write|name|leave|try|promote)\b[^;]*$", line), line


def test_bypass_07_a_digest_alone_is_nothing_without_an_event() -> None:
    assert not verdict_on({"images": ["<a>"], "found": {"a refused": ["the event is not believed"]}}).admitted


def test_bypass_12_as_many_images_as_an_object_may_have_are_judged_in_time() -> None:
    half = MAX_USES // 2
    uses = workload(pod_spec(["<a>"] * half, volumes=("<c>",) * half))
    exempt = [Exemption(repository=f"registry{index}.example/x/**", reason="x", until=date(2027, 1, 1)) for index in range(50)]
    around = Circumstances(Place(*HERE), NOW, exempt)
    found: dict[Digest, Found | Unknown] = {digest("a"): Found((event("AX"),) * 200, ()), digest("c"): Found((event("AX"),) * 200, ())}
    began = time.process_time()
    assert judge(uses, uses.uses, Archived(found, {}), around).admitted
    assert time.process_time() - began < 10


def test_bypass_12_digests_of_other_algorithms_are_not_looked_up() -> None:
    uses = workload(pod_spec(["registry.bank.example/a@<sha512>", "<b>", "registry.bank.example/infra/proxy@<sha-c>", "x.example/y:1"]))
    around = Circumstances(Place(*HERE), NOW, EXEMPT)
    assert digests_asked(uses, around) == {digest("b")}
    assert tags_asked(uses.uses) == {("x.example/y", "1")}


IMAGES = st.sampled_from(
    ["<a>", "<b>", "<c>", "<d>", "<a!>", "auto", "", "nginx", "registry.bank.example/infra/proxy:1", "x.example/y:1", "no ref"]
)
EVENTS = st.lists(st.sampled_from(sorted(TABLE["events"])), max_size=3)


@settings(max_examples=150)
@given(
    st.lists(IMAGES, min_size=1, max_size=4),
    st.lists(IMAGES, max_size=2),
    st.fixed_dictionaries({}, optional=dict.fromkeys("abcd", EVENTS)),
)
def test_more_events_never_refuse_and_more_images_never_admit(images: list[str], more: list[str], found: dict[str, list[str]]) -> None:
    """Over containers alone: volumes beside them may be claimed by an event (rule 7)."""
    admitted = verdict_on({"images": images, "found": found}).admitted
    with_more = {letter: [*found.get(letter, []), "A", "B"] for letter in "abcd"}
    assert not admitted or verdict_on({"images": images, "found": with_more}).admitted
    assert admitted or not verdict_on({"images": images + more, "found": found}).admitted


# Over a real archive: the reader, a file store, real keys.

IMAGE: str = SPEC["model"]["image"]
DIGEST = Digest(IMAGE.partition("@")[2])
OTHER = sha256(b"another image")


def promoted(world: World, spec: dict[str, Any] = SPEC, **given: Any) -> tuple[RequestId, bytes]:
    frozen = world.freeze(spec)
    verdict = "Reject" if given.get("kind") == REJECTION_TYPE else "Approve"
    return frozen.freeze.id, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze, CARLA, verdict)], **given)


def keep(world: World, request: str, bundle: bytes | None, *, of: Digest = DIGEST, environment: str = "production") -> None:
    if bundle is not None:
        world.store.create(layout.event(request), bundle)
    world.store.create(layout.subject_pointer(of, environment, request), b"")


def asked(world: World, image: str = IMAGE, *, reader: Reader | None = None, environment: str = "production") -> Verdict:
    uses = workload(pod_spec([image]))
    around = Circumstances(Place(environment, "demo", "credit"), NOW, ())
    memory = Memory(lambda key: look_up(reader or world.reader, key, "demo", NOW), lambda: 0.0)
    found = {key.digest: memory.ask(key) for key in keys(digests_asked(uses, around), uses, around.place)}
    return judge(uses, uses.uses, Archived(found, {}), around)


def refused_for(verdict: Verdict, why: str, *, unsure: bool = False) -> None:
    assert [why in finding.why for finding in verdict.findings] == [True], [str(finding) for finding in verdict.findings]
    assert verdict.unsure is unsure
    assert str(verdict.findings[0]).isprintable()


def test_an_archived_promotion_admits(world: World) -> None:
    keep(world, *promoted(world))
    assert asked(world).admitted


def test_bypass_07_a_rejection_admits_nothing(world: World) -> None:
    keep(world, *promoted(world, kind=REJECTION_TYPE))
    refused_for(asked(world), "the request was rejected")


def test_bypass_07_a_seal_in_place_of_the_event(world: World) -> None:
    frozen = world.freeze()
    keep(world, frozen.freeze.id, world.seal(frozen.payload, frozen.freeze).bundle)
    refused_for(asked(world), "is not believed: rule")


def test_bypass_08_a_pointer_to_another_digests_event(world: World) -> None:
    request, bundle = promoted(world)
    keep(world, request, bundle, of=OTHER)
    refused_for(asked(world, f"registry.bank.example/x@{OTHER}"), "the event is about another digest")


def test_bypass_08_a_subject_put_in_by_the_operator(world: World) -> None:
    def change(statement: dict[str, Any]) -> None:
        statement["subject"][0]["digest"]["sha256"] = OTHER.removeprefix("sha256:")

    keep(world, *promoted(world, change=change), of=OTHER)
    refused_for(asked(world, f"registry.bank.example/x@{OTHER}"), "rule 6 (payload)")


def test_bypass_17_an_event_for_staging_pointed_to_from_production(world: World) -> None:
    keys = {"environments": ["production", "staging"], "clusters": ["demo"]}
    world.trust = world.trust_with(
        keys=[trusted_key(world.seal_key, "seal", targets=keys), trusted_key(world.event_key, "event", targets=keys)]
    )
    spec = deepcopy(SPEC)
    spec["target"]["environment"] = "staging"
    request, bundle = promoted(world, spec)
    keep(world, request, bundle)
    refused_for(asked(world, reader=Reader(world.store, world.trust)), "promoted for environment staging, not for production")


def test_bypass_18_a_pointer_without_an_event(world: World) -> None:
    keep(world, promoted(world)[0], None)
    refused_for(asked(world), "which has no event")


def test_bypass_18_an_event_under_another_id(world: World) -> None:
    keep(world, "0" * 64, promoted(world)[1])
    refused_for(asked(world), "lies under the id 000")


def test_bypass_18_an_event_signed_again_by_a_stranger(world: World) -> None:
    keep(world, *promoted(world, signer=world.stranger))
    refused_for(asked(world), "which the trust file does not name")


def test_bypass_18_an_event_signed_again_by_the_webhook(world: World) -> None:
    keep(world, *promoted(world, signer=world.seal_key))
    refused_for(asked(world), "rule 3 (key)")


def test_bypass_18_an_event_by_a_key_that_has_ended(world: World) -> None:
    trust = world.trust_with(
        keys=[trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event", validUntil="2026-01-02T00:00:00Z")]
    )
    keep(world, *promoted(world))
    refused_for(asked(world, reader=Reader(world.store, trust)), "rule 3 (key)")


def test_bypass_18_two_events_under_one_id_are_one(world: World) -> None:
    request, bundle = promoted(world)
    keep(world, request, bundle)
    with pytest.raises(Exists):
        world.store.create(layout.event(request), promoted(world, kind=REJECTION_TYPE)[1])
    assert world.store.read(layout.event(request), limit=len(bundle)).data == bundle


def test_bypass_18_a_correction_that_cannot_be_read_stops_the_event(world: World) -> None:
    request, bundle = promoted(world)
    keep(world, request, bundle)
    event_digest = world.reader.outcome(request).digest
    world.store.create(layout.correction(event_digest, "0" * 64), b"whatever")
    refused_for(asked(world), "whether the event was revoked cannot be told", unsure=True)


class Failing:
    """A store that answers, and for some keys does not: what a network does to a real one."""

    def __init__(self, store: Store, prefix: str, error: Exception) -> None:
        self.store, self.prefix, self.error = store, prefix, error

    def read(self, key: str, *, limit: int) -> Stored:
        if key.startswith(self.prefix):
            raise self.error
        return self.store.read(key, limit=limit)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Any:
        if prefix.startswith(self.prefix):
            raise self.error
        return self.store.list(prefix, after=after, limit=limit)


@pytest.mark.parametrize("prefix", ["events/", "subjects/", "corrections/", "statements/policy/"])
def test_bypass_10_an_archive_out_of_reach_is_no_admission(world: World, prefix: str) -> None:
    keep(world, *promoted(world))
    failing = Reader(Failing(world.store, prefix, Unavailable("the archive is out of reach")), world.trust)  # type: ignore[arg-type]
    refused_for(asked(world, reader=failing), "could not tell whether it was promoted", unsure=True)


def test_bypass_10_a_policy_that_is_missing_is_no_admission(world: World) -> None:
    keep(world, *promoted(world))
    failing = Reader(Failing(world.store, "statements/", Missing("nothing there")), world.trust)  # type: ignore[arg-type]
    refused_for(asked(world, reader=failing), "is not at hand", unsure=True)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000, json.dumps({"mediaType": 1}).encode()], ids=repr)
def test_bypass_10_bytes_that_are_no_event_are_no_admission(world: World, data: bytes) -> None:
    keep(world, promoted(world)[0], data)
    refused_for(asked(world), "is not believed: rule 1 (form)")


def test_bypass_12_more_pointers_than_are_looked_through_are_no_admission(world: World) -> None:
    keep(world, *promoted(world))
    for index in range(200):
        world.store.create(layout.subject_pointer(DIGEST, "production", f"{index:064x}"), b"")
    refused_for(asked(world), "more than 200 pointers", unsure=True)


def test_bypass_18_the_incumbent_is_what_events_say_and_not_what_pointers_say(world: World) -> None:
    targets = {"environments": ["production", "staging"], "clusters": ["demo"]}
    trust = world.trust_with(
        keys=[trusted_key(world.seal_key, "seal", targets=targets), trusted_key(world.event_key, "event", targets=targets)]
    )
    world.trust = trust
    reader = Reader(world.store, trust)
    staging, other = deepcopy(SPEC), deepcopy(SPEC)
    staging["target"]["environment"] = "staging"
    other["model"]["name"] = "credit-limits"
    requests = []
    for spec in (SPEC, staging, other):
        request, bundle = promoted(world, spec)
        requests.append(request)
        world.store.create(layout.event(request), bundle)
        world.store.create(layout.model_pointer("credit-scoring", "production", request), b"")
    live = reader.incumbent("credit-scoring", "production", "demo")
    assert live is not None
    assert live.id == requests[0]
    assert reader.incumbent("credit-scoring", "production", "west") is None
