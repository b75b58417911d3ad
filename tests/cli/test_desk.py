from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from archive_fixture import Site
from authenticator import Authenticator, consenting, registered
from builders import example_explanation
from signing_in import CLIENT, ISSUER, Provider
from world import BEN, CARLA, DAVID

from signoff.archive import layout
from signoff.decision.passkeys import challenge_of
from signoff.decision.seals import passkey_bundle
from signoff.desk.freezing import Frozen
from signoff.operator.commit import commit
from signoff.record.bundle import read_bundle
from signoff.record.canonical import b64decode
from signoff.record.promotion import PROMOTION_TYPE, SealedDecision
from signoff.record.values import sha256
from signoff.verify.verifier import Verified


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def seal_key(verified: Verified) -> str:
    principal = verified.decisions[0].principal
    return layout.seal(sha256(verified.payload), principal.issuer, principal.subject)


def test_the_frozen_bytes_are_written_as_they_were(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    ran = site.run("desk", verified.id[:12], "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    written = files(tmp_path / "desk")
    assert b"credit-scoring 2.4.0 for production: promoted" in written.pop("index.html")
    shown = {one.mediaType: one.digest for one in verified.freeze.renditions}
    seal = f"seals/{seal_key(verified).rpartition('/')[2][:12]}.sigstore.json"
    statement = verified.freeze.route.considered[0].statement
    assert {name: sha256(data) for name, data in written.items()} == {
        "desk.html": shown["text/html"],
        "desk.txt": shown["text/plain"],
        "explanation.html.txt": sha256(example_explanation()),
        "request.json": sha256(verified.payload),
        "event.sigstore.json": sha256(site.object_at(layout.event(verified.id)).read_bytes()),
        "submissions/1.sigstore.json": sha256(b64decode(verified.freeze.submissions[0].bundle, "submission")),
        seal: sha256(site.object_at(seal_key(verified)).read_bytes()),
        "policies/credit-models.sigstore.json": sha256(site.object_at(layout.statement("policy", statement)).read_bytes()),
    }
    for name, data in written.items():
        (line,) = [line for line in ran.out.splitlines() if line.split()[0] == name]
        assert line.split()[1] == sha256(data)
    assert f"{shown['text/html']}  as the event says" in ran.out
    assert [path.name for path in tmp_path.iterdir() if "desk" in path.name] == ["desk"]


def test_what_was_written_verifies(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.run("desk", verified.digest, "--out", tmp_path / "desk")
    assert site.run("verify", "--bundle", tmp_path / "desk" / "event.sigstore.json").code == 0


def test_a_folder_that_holds_anything_is_left_alone(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    (tmp_path / "desk").mkdir()
    assert site.run("desk", verified.id, "--out", tmp_path / "desk").code == 0
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, "is not an empty folder" in ran.err) == (2, True)


Change = Callable[[Verified], str]
PARTS: dict[str, Change] = {
    "explanation": lambda verified: layout.blob(verified.freeze.explanation.digest),
    "page": lambda verified: layout.blob(verified.freeze.renditions[0].digest),
    "text": lambda verified: layout.blob(verified.freeze.renditions[1].digest),
    "payload": lambda verified: layout.freeze(verified.id, sha256(verified.payload)),
    "seal": seal_key,
    "event": lambda verified: layout.event(verified.id),
}


@pytest.mark.parametrize("part", PARTS)
def test_where_anything_was_altered_nothing_is_written(site: Site, tmp_path: Path, part: str) -> None:
    key = PARTS[part](site.promoted())
    request = next(iter(site.world.store.list("events/"))).removeprefix("events/").removesuffix(".sigstore.json")
    site.overwrite(key, site.object_at(key).read_bytes().replace(b"a", b"b", 40))
    ran = site.run("desk", request, "--out", tmp_path / "desk")
    assert (ran.code, ran.out, (tmp_path / "desk").exists()) == (1, "", False)
    assert ran.err.startswith("error: ")
    assert part == "event" or key in ran.err


@pytest.mark.parametrize("part", [part for part in PARTS if part != "event"])
def test_where_anything_is_missing_nothing_is_written(site: Site, tmp_path: Path, part: str) -> None:
    verified = site.promoted()
    site.object_at(PARTS[part](verified)).unlink()
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.out, (tmp_path / "desk").exists()) == (1, "", False)
    assert PARTS[part](verified) in ran.err


def test_an_undecided_desk_is_written_as_such(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    site.world.archive_seal(site.world.seal(frozen.payload, frozen.freeze, DAVID))
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    assert "(not decided yet)" in ran.out
    assert "as the freeze says" in ran.out
    assert "as the event says" not in ran.out
    written = files(tmp_path / "desk")
    assert "event.sigstore.json" not in written
    assert written["request.json"] == frozen.payload
    assert sum(name.startswith("seals/") for name in written) == 1


def test_a_decision_on_another_desk_is_not_shown_on_this_one(site: Site, tmp_path: Path) -> None:
    frozen, other = site.frozen(), site.frozen(name="credit-other")
    sealed = site.world.seal(other.payload, other.freeze, CARLA)
    for name in (layout.seal(frozen.digest, CARLA.issuer, CARLA.subject), layout.seal(frozen.digest, DAVID.issuer, DAVID.subject)):
        site.world.store.create(name, sealed.bundle)
    site.world.store.create(layout.seal(frozen.digest, BEN.issuer, BEN.subject), b"no seal at all")
    assert site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk").code == 0
    assert not any(name.startswith("seals/") for name in files(tmp_path / "desk"))


def test_a_freeze_that_names_somebody_else_beside_a_true_submission_is_not_written(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    changed = frozen.payload.replace(b'"subject":"ben@bank.example"', b'"subject":"eva@bank.example"')
    assert changed != frozen.payload
    site.world.store.create(layout.freeze(frozen.freeze.id, sha256(changed)), changed)
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk", "--freeze", sha256(changed))
    assert (ran.code, (tmp_path / "desk").exists()) == (2, False)
    assert "says other than what admission signed" in ran.err


def test_of_several_desks_one_is_chosen(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    changed = frozen.payload.replace(b'"origin":"the example"', b'"origin":"elsewhere"')
    site.world.store.create(layout.freeze(frozen.freeze.id, sha256(changed)), changed)
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, "was frozen 2 times" in ran.err) == (2, True)
    assert site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk", "--freeze", frozen.digest).code == 0


def test_a_freeze_that_nobody_submitted_is_not_written(site: Site, tmp_path: Path) -> None:
    submit, site.world.seal_key = site.world.seal_key, site.world.stranger
    frozen = site.frozen()
    site.world.seal_key = submit
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, (tmp_path / "desk").exists()) == (2, False)
    assert "which the trust file does not name" in ran.err


def test_grants_and_corrections_are_written_and_told_for_what_they_are(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    granted = site.world.seal(frozen.payload, frozen.freeze, change=lambda value: value["decided"].update(delegation=[site.world.grant()]))
    site.world.archive_seal(granted)
    verified = commit(site.world.reader, site.world.event_key, frozen.freeze, PROMOTION_TYPE, [granted], datetime.now(UTC))
    keys = [
        site.world.correct(verified, "Annotate"),
        site.world.correct(verified, key=layout.correction(verified.digest, "0" * 64)),
        site.world.correct(verified, reason="by nobody", signer=site.world.stranger),
    ]
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    written = files(tmp_path / "desk")
    grant = granted.seal.decided.delegation[0]
    assert written[f"grants/{grant.digest[7:]}.sigstore.json"] == b64decode(grant.bundle, "grant")
    for key in keys:
        assert written[f"corrections/{key.rpartition('/')[2]}.sigstore.json"] == site.object_at(key).read_bytes()
    page = " ".join(written["index.html"].decode().split())
    assert "david@bank.example, who granted it" in page
    assert page.count("NOT BELIEVED: ") == 4, "both that are not believed, each among the corrections and beside its file"
    assert "Whether it was revoked cannot be told" in page


def test_the_passkey_of_a_decision_is_written_and_told(site: Site, tmp_path: Path) -> None:
    frozen, sealed = signed_by_passkey(site)
    site.world.archive_seal(sealed)
    verified = commit(site.world.reader, site.world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], datetime.now(UTC))
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    bundle = b64decode(sealed.seal.decided.consent.proofs[2].content, "proof")
    assert files(tmp_path / "desk")[f"passkeys/{read_bundle(bundle, 'passkey').digest[7:]}.sigstore.json"] == bundle
    page = " ".join((tmp_path / "desk" / "index.html").read_text().split())
    assert "“blue key”, registered at 2026-02-01T10:00:00Z for signoff.bank.example" in page
    told = " ".join(site.run("why", verified.id).out.split())
    assert "rests on a passkey, whose signature covers what was shown" in told
    assert "passkey “blue key”, registered at 2026-02-01T10:00:00Z for signoff.bank.example, kept with its registration" in told
    site.world.store.create(layout.statement("passkey", read_bundle(bundle, "passkey").digest), bundle)
    ran = site.run("verify", "-o", "json")
    assert (ran.code, ran.json["findings"]) == (0, []), "the whole archive is read, its passkeys too"


def signed_by_passkey(site: Site) -> tuple[Frozen, SealedDecision]:
    """Have the trust file name a provider, and Carla decide by a passkey."""
    provider, key, at = Provider(), Authenticator(), datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
    named = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
    site.trusting(site.world.trust_with(identityProviders=[named]))
    frozen = site.frozen()
    registration = passkey_bundle(registered(key, provider, datetime(2026, 2, 1, 10, tzinfo=UTC)), site.world.seal_key)
    used = key.use(challenge_of(frozen.digest, frozen.freeze.renditions[0].digest, "Approve", CARLA))
    consent = consenting(provider.token("carla", at), provider, registration, used)
    return frozen, site.world.seal(frozen.payload, frozen.freeze, change=lambda value: value["decided"].update(consent=consent))


@pytest.mark.parametrize("given", [[], ["--serve", "--out", "folder"]])
def test_it_is_written_or_served_and_not_both(site: Site, given: list[str]) -> None:
    ran = site.run("desk", "3fd2a9c41b", *given)
    assert (ran.code, "give one of --out DIR and --serve" in ran.err) == (2, True)


def test_a_policys_name_leads_nowhere_but_below_the_folder(site: Site, tmp_path: Path) -> None:
    """A freeze that nobody decided on is anybody's words, if they can write to the archive; its submission is admission's."""
    frozen = site.frozen()
    changed = frozen.payload.replace(b'"considered":[{"name":"credit-models"', b'"considered":[{"name":"../../../out"')
    assert changed != frozen.payload
    site.world.store.create(layout.freeze(frozen.freeze.id, sha256(changed)), changed)
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "a" / "b" / "desk", "--freeze", sha256(changed))
    assert (ran.code, ran.err) == (0, "")
    statement = frozen.freeze.route.considered[0].statement
    assert f"policies/{statement[7:]}.sigstore.json" in files(tmp_path / "a" / "b" / "desk")
    assert not list(tmp_path.rglob("out*"))
