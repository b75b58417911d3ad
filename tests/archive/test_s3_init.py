"""`signoff init` on a real bucket, by its command line, as the administrator."""

import json
import secrets
import subprocess
import sys

from buckets import BUCKET

from signoff.archive.open import open_store


def init(url, keys):
    given = ["--cluster", "demo", "--environment", "production", "--publisher", "https://login.bank.example", "paula@bank.example"]
    command = [sys.executable, "-m", "signoff", "init", url, "--keys", str(keys), *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_archive_is_made_in_a_bucket_and_its_policies_beside_the_keys(in_s3, tmp_path):
    in_s3.become("admin")
    url = in_s3.buckets.store.address(BUCKET, f"new-{secrets.token_hex(4)}")
    ran = init(url, tmp_path / "keys")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "may not delete; its marker is locked in COMPLIANCE mode" in " ".join(ran.stdout.split())
    assert in_s3.buckets.store.keys["admin"].secret not in ran.stdout
    for who in ("writer", "reader"):
        name = f"s3-{who}-policy.json"
        assert name in ran.stdout
        assert json.loads((tmp_path / "keys" / name).read_bytes())["Version"] == "2012-10-17"
    in_s3.become("reader")
    assert [key.partition("/")[0] for key in open_store(url).list("")] == ["archive.json", "statements"]


def test_a_bucket_that_cannot_be_proven_gets_no_archive_and_no_keys(in_s3, tmp_path):
    in_s3.become("admin")
    name = f"plain-{secrets.token_hex(4)}"
    in_s3.buckets.make(name, None, lock=True)
    ran = init(in_s3.buckets.store.address(name), tmp_path / "keys")
    assert (ran.returncode, (tmp_path / "keys").exists()) == (2, False)
    assert ran.stderr.startswith(f"error: s3://{name}: the bucket's default retention is not in COMPLIANCE mode")
    assert "Contents" not in in_s3.buckets.raw().list_objects_v2(Bucket=name)
