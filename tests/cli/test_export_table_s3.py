"""The table of an archive in a real object store is the one of the same archive in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_fixture import Site
from boto3.session import Session
from botocore.config import Config
from tables import rows
from world import DAVID

from controlplane.seaweed import REGION, ObjectStore
from signoff.archive.open import initialise, open_store
from signoff.cli import export_table

BUCKET = "evidence"


@pytest.fixture
def bucket(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of an empty archive in a bucket, whose administrator this process is."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
    with ObjectStore(tmp_path_factory.mktemp("seaweed")) as store:
        store.make_bucket(BUCKET)
        for name, value in (nowhere | store.keys["admin"].environment).items():
            monkeypatch.setenv(name, value)
        address = store.address(BUCKET, "archive")
        _first_write(store)
        initialise(address)
        yield address


def _first_write(store: ObjectStore) -> None:
    """Have the store make its volumes, which takes longer than signoff waits for a write."""
    session = Session(*store.keys["admin"].environment.values())
    client = session.client("s3", endpoint_url=store.endpoint, region_name=REGION, config=Config(s3={"addressing_style": "path"}))
    client.put_object(Bucket=BUCKET, Key="warm", Body=b"x", ChecksumAlgorithm="SHA256")


def copy(site: Site, address: str) -> None:
    """Copy what is not there yet, in the order in which writers write: events last."""
    theirs = open_store(address)
    there = set(theirs.list(""))
    for key in sorted(site.world.store.list(""), key=lambda key: key.startswith("events/")):
        if key not in there:
            theirs.create(key, site.world.store.read(key, limit=1 << 24).data)


def test_an_archive_in_a_bucket_gives_the_same_table_and_is_gone_on_with(
    site: Site, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_table, "ROWS_AT_ONCE", 2)
    site.promoted()
    copy(site, bucket)
    table = tmp_path / "bucket"
    given = ["export-table", "--out", table, "--archive", bucket, "--trust", site.trust, "-o", "json"]
    assert site.run(*given, archive=False).json["rows"] == {"policy": 1, "promotion": 1, "seal": 1}
    site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"), DAVID, verdict="Reject")
    copy(site, bucket)
    assert site.run(*given, archive=False).json["rows"] == {"rejection": 1, "seal": 1}
    assert site.run("export-table", "--out", tmp_path / "folder").code == 0
    assert _untimed(table) == _untimed(tmp_path / "folder")
    assert "endpoint" not in (table / "_signoff.json").read_text(), "how it is reached is nobody's business"


def _untimed(folder: Path) -> list[dict[str, object]]:
    """Return the rows without what the store says of when it took them."""
    stores = {"stored_at", "stored_unix", "frozen_at", "frozen_unix", "month"}
    return [{name: cell for name, cell in row.items() if name not in stores} for row in rows(folder)]
