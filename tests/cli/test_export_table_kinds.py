"""What the rows of each kind of statement say: seals, checks, corrections, grants."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from authenticator import Authenticator, registered
from bank_year import ENGINE, Year, digest_of, model_of
from checking import bring
from signing_in import CLIENT, ISSUER, Provider
from tables import row_of, rows
from world import BEN, CARLA, DAVID

from signoff.archive import layout
from signoff.decision.seals import passkey_bundle
from signoff.record.bundle import read_bundle

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_a_seal_says_who_decided_on_what_when_and_in_whose_name(year: Year, tmp_path: Path) -> None:
    frozen = year.frozen("2026-03-02T10:00:00", model_of("credit-granted"), name="granted")
    grant = year.world.grant()
    sealed = year.world.seal(frozen.payload, frozen.freeze, CARLA, change=lambda value: value["decided"].update(delegation=[grant]))
    year.world.archive_seal(sealed)
    key = layout.seal(frozen.digest, CARLA.issuer, CARLA.subject)
    year.stored(key, "2026-03-02T11:00:00")
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 0
    row = row_of(tmp_path / "table", key)
    assert (row["type"], row["verifies"], row["verdict"]) == ("seal", "yes", "Approve")
    assert (row["decided_by"], row["decided_by_subject"], row["decided_by_issuer"], row["decided_by_keys"]) == (
        CARLA.name,
        CARLA.subject,
        CARLA.issuer,
        CARLA.key,
    )
    assert (row["in_name_of"], row["in_name_of_key"], row["delegation"]) == (DAVID.name, DAVID.key, grant["digest"])
    assert (row["model"], row["tier"], row["freeze"], row["asked_by_keys"]) == ("credit-granted", "tier-2", frozen.digest, BEN.key)
    assert row["stored_unix"] - row["frozen_unix"] == 3600


def test_a_check_is_a_row_beside_its_event(year: Year, tmp_path: Path) -> None:
    refresh = year.weekly("2026-01-20T09:00:00")
    event = year.promoted("credit-refresh", "2026-04-06", ENGINE, policy=refresh, checked=True)
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 0
    row = row_of(tmp_path / "table", layout.event(event.id), 1)
    assert (row["type"], row["verifies"], row["id"], row["decided_by"]) == ("check", "yes", event.id, "weekly-check 3.1")
    assert (row["image_digest"], row["signed_by"]) == (digest_of("credit-refresh"), year.checker.key_id)
    assert {"name": "psi.max", "value": "0.031"} in json.loads(row["measured"])
    assert row["month"] == "month=2026-04"


def test_a_check_that_does_not_count_is_a_row_that_says_so(year: Year, tmp_path: Path) -> None:
    def unknown(spec: dict[str, Any]) -> None:
        model_of("credit-unknown")(spec)
        bring(spec, year.world.stranger)

    frozen = year.frozen("2026-04-06T10:00:00", unknown, year.weekly("2026-01-20T09:00:00"), name="unknown")
    event = year.decided(frozen, "2026-04-06T11:00:00")
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 1
    assert row_of(tmp_path / "table", layout.event(event.id))["verifies"] == "yes"
    row = row_of(tmp_path / "table", layout.event(event.id), 1)
    assert (row["type"], row["verifies"], row["measured"]) == ("check", "no", None)
    assert row["why_not"] == "does not count: its signature is by no key that is trusted for checks here"


def test_a_later_correction_is_a_row_of_its_own_and_changes_no_other(year: Year, tmp_path: Path) -> None:
    event = year.promoted("credit-wrong", "2026-10-12")
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 0
    before = rows(tmp_path / "table")
    key = year.world.correct(event, "Revoke", DAVID)
    year.stored(key, "2026-11-13T11:00:00")
    assert year.site.run("export-table", "--out", tmp_path / "table", "-o", "json").json["rows"] == {"correction": 1}
    row = row_of(tmp_path / "table", key)
    assert (row["type"], row["verifies"], row["verdict"], row["corrects"]) == ("correction", "yes", "Revoke", event.digest)
    assert (row["id"], row["model"], row["version"], row["month"]) == (event.id, "credit-wrong", "1.0.0", "month=2026-11")
    assert (row["decided_by_subject"], row["reason"]) == (DAVID.subject, "The evaluation data were wrong.")
    assert [one for one in rows(tmp_path / "table") if one["archive_key"] != key] == before


def test_a_correction_is_believed_under_its_own_event_alone(year: Year, tmp_path: Path) -> None:
    event, other = year.promoted("credit-one", "2026-10-12"), year.promoted("credit-two", "2026-10-12")
    moved = layout.correction(other.digest, "4" * 64)
    year.world.correct(event, key=moved)
    nowhere = year.world.correct(event, request="5" * 64, reason="Of a request that has no event.")
    unbelieved = year.world.correct(other, reason="Of an event that was altered.")
    own = layout.event(other.id)
    year.site.overwrite(own, year.site.object_at(own).read_bytes().replace(b'"sig":"M', b'"sig":"N'))
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 1
    told = {key: row_of(tmp_path / "table", key) for key in (moved, nowhere, unbelieved)}
    assert [row["verifies"] for row in told.values()] == ["no", "no", "could not tell"]
    assert "and lies under another event" in told[moved]["why_not"]
    assert "which has no event" in told[nowhere]["why_not"]
    assert "which is not believed (rule 2 (signature)" in told[unbelieved]["why_not"]


def test_a_grant_says_who_lets_whom_decide_on_what(year: Year, tmp_path: Path) -> None:
    grant, forged = year.world.grant(), year.world.grant(signer=year.world.stranger, reason="Never granted.")
    for one in (grant, forged):
        year.world.store.create(layout.statement("delegation", one["digest"]), b64decode(one["bundle"]))
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 1
    row = row_of(tmp_path / "table", layout.statement("delegation", grant["digest"]))
    assert (row["type"], row["verifies"], row["decided_by"], row["grantee"]) == ("delegation", "yes", DAVID.name, CARLA.subject)
    assert (row["models"], row["tiers"], row["reason"]) == ("credit-*", "tier-2", "Two weeks in the mountains.")
    assert (str(row["valid_from"]), str(row["valid_until"])) == ("2026-03-01 00:00:00", "2026-03-15 00:00:00")
    row = row_of(tmp_path / "table", layout.statement("delegation", forged["digest"]))
    assert (row["verifies"], row["grantee"]) == ("no", None)


def test_a_passkey_says_whose_it_is_and_until_when(year: Year, tmp_path: Path) -> None:
    provider, key, at = Provider(), Authenticator(), datetime(2026, 2, 1, 10, tzinfo=UTC)
    named = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
    year.site.trusting(year.world.trust_with(identityProviders=[named]))
    good, other = registered(key, provider, at), registered(key, provider, at, token=provider.token("carla", at))
    keys = []
    for one in (passkey_bundle(good, year.world.seal_key), passkey_bundle(other, year.world.seal_key)):
        keys.append(layout.statement("passkey", read_bundle(one, "passkey").digest))
        year.world.store.create(keys[-1], one)
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 1
    row = row_of(tmp_path / "table", keys[0])
    assert (row["type"], row["verifies"], row["decided_by"], row["assurance"]) == ("passkey", "yes", CARLA.name, "fresh-login")
    assert (str(row["valid_from"]), str(row["valid_until"])) == ("2026-02-01 10:00:00", "2027-02-02 10:00:00")
    row = row_of(tmp_path / "table", keys[1])
    assert (row["verifies"], row["decided_by"]) == ("no", None)
    assert "the login was not for this passkey" in row["why_not"]
