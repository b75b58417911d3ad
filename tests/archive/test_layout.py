"""The layout, held by golden vectors: these keys cannot change any more."""

import json
from pathlib import Path

import pytest

from signoff.archive import layout
from signoff.archive.store import BadKey, require_key

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("layout.json").read_text())
HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["call"])
def test_golden(row):
    key = getattr(layout, row["call"])(**row["arguments"])
    assert key == row["answer"]


def test_golden_vectors_cover_every_key():
    public = {name for name, what in vars(layout).items() if callable(what) and name.islower() and name[0] != "_"}
    assert {row["call"] for row in GOLDEN} == public - {"sha256"}


@pytest.mark.parametrize("row", [row for row in GOLDEN if "/" in row["answer"]], ids=lambda row: row["call"])
def test_every_key_is_one(row):
    require_key(row["answer"] + "a" if row["answer"].endswith("/") else row["answer"])


@pytest.mark.parametrize(
    "digest", ["", HEX, f"sha512:{HEX}", f"sha256:{HEX[1:]}", f"sha256:{HEX}0", f"sha256:{HEX.upper()}", f"{DIGEST}\n"]
)
def test_a_digest_has_one_form(digest):
    for call in (layout.blob, layout.seals_prefix, layout.corrections_prefix):
        with pytest.raises(BadKey, match="not a digest"):
            call(digest)
    for call in (
        lambda: layout.freeze(HEX, digest),
        lambda: layout.statement("policy", digest),
        lambda: layout.subject_pointer(digest, "production", HEX),
    ):
        with pytest.raises(BadKey, match="not a digest"):
            call()


@pytest.mark.parametrize("name", ["", DIGEST, HEX.upper(), HEX[1:], f"{HEX}0", "../" + HEX[3:], f"{HEX}\n"])
def test_an_id_has_one_form(name):
    for call in (
        lambda: layout.event(name),
        lambda: layout.freeze(name, DIGEST),
        lambda: layout.correction(DIGEST, name),
        lambda: layout.model_pointer("m", "production", name),
        lambda: layout.repository_pointer("r", "production", name),
        lambda: layout.subject_pointer(DIGEST, "production", name),
        lambda: layout.event_id(f"events/{name}.sigstore.json"),
    ):
        with pytest.raises(BadKey, match="not an id"):
            call()


@pytest.mark.parametrize("environment", ["", "Production", "a/b", "..", "-a", "a-", "a.b", "a" * 64, "prod\n"])
def test_an_environment_is_a_dns_label(environment):
    for call in (
        lambda: layout.models_prefix("m", environment),
        lambda: layout.subject_prefix(DIGEST, environment),
        lambda: layout.repository_prefix("r", environment),
    ):
        with pytest.raises(BadKey, match="environment"):
            call()


def test_two_principals_never_share_a_key():
    assert layout.principal_key("a", "bc") != layout.principal_key("ab", "c")
    for issuer, subject in (("a\0b", "c"), ("a", "b\0c"), ("", "a"), ("a", "")):
        with pytest.raises(BadKey, match=r"principal|empty"):
            layout.principal_key(issuer, subject)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_a_name_is_text(name):
    with pytest.raises(BadKey, match="model name"):
        layout.models_prefix(name, "production")
    with pytest.raises(BadKey, match="repository"):
        layout.repository_prefix(name, "production")


def test_a_key_gives_back_its_id():
    assert layout.event_id(layout.event(HEX)) == HEX
    assert layout.pointed_id(layout.subject_pointer(DIGEST, "production", HEX)) == HEX


@pytest.mark.parametrize("key", [f"events/{HEX}", f"{HEX}.sigstore.json", f"event/{HEX}.sigstore.json", "events/.sigstore.json"])
def test_other_keys_are_not_events(key):
    with pytest.raises(BadKey):
        layout.event_id(key)


@pytest.mark.parametrize("key", [f"events/{HEX}", f"freezes/{HEX}/{HEX}", "models/a/b/c", ""])
def test_other_keys_are_not_pointers(key):
    with pytest.raises(BadKey):
        layout.pointed_id(key)
