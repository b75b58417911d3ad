"""The real store's buckets and identities, for the tests of the archive in S3."""

import os
import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config

from controlplane.seaweed import REGION, ObjectStore
from signoff.archive.s3 import S3Store
from signoff.archive.s3_address import S3Address, parse_s3
from signoff.archive.s3_requests import Patience, Requests, connect

BUCKET = "evidence"
QUICK = Patience(connect=0.5, silence=0.5, total=1.5, attempts=4, pause=0.01)


class Buckets:
    """The store of this session, its bucket made as an administrator should."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._clients: dict[str, Any] = {}
        self._connected: dict[tuple[object, ...], Any] = {}
        self._warm = False
        self.make(BUCKET, "COMPLIANCE")

    def start(self) -> None:
        """Start the store, unless it runs, and have its first write done: that one takes longer, for it makes volumes."""
        self.store.start()
        if not self._warm:
            self.raw().put_object(Bucket=BUCKET, Key=f"warm/{secrets.token_hex(4)}", Body=b"x", ChecksumAlgorithm="SHA256")
        self._warm = True

    def stop(self) -> None:
        self._warm = False
        self.store.stop()

    def raw(self, who: str = "admin") -> Any:
        """A plain client, which can do what signoff never does."""
        if who not in self._clients:
            session = Session(*self.store.keys[who].environment.values())
            config = Config(s3={"addressing_style": "path"})
            self._clients[who] = session.client("s3", endpoint_url=self.store.endpoint, region_name=REGION, config=config)
        return self._clients[who]

    def connected(self, address: S3Address, patience: Patience) -> Any:
        """Signoff's own client, one for each identity and place: making one takes a while."""
        who = (os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY"), address.endpoint, patience)
        if who not in self._connected:
            self._connected[who] = connect(address, patience)
        return self._connected[who]

    def make(self, name: str, mode: str | None, *, lock: bool = True) -> None:
        """A bucket, with or without Object Lock, and with this mode of retention by default."""
        admin = self.raw()
        admin.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if lock else {}))
        if mode is not None:
            rule = {"DefaultRetention": {"Mode": mode, "Days": 3}}
            admin.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})


class Place:
    """An archive of its own in the bucket, below a prefix that nobody had before."""

    def __init__(self, buckets: Buckets, monkeypatch: Any) -> None:
        self.buckets = buckets
        self._monkeypatch = monkeypatch
        buckets.start()
        self.prefix = f"archive-{secrets.token_hex(4)}/"
        self.url = buckets.store.address(BUCKET, self.prefix)
        self.become("admin")
        self.opened().initialise()
        self.become("writer")

    def become(self, who: str) -> None:
        """Hold this identity's access keys from now on, and those processes too that are started."""
        for name, value in self.buckets.store.keys[who].environment.items():
            self._monkeypatch.setenv(name, value)

    def open(self) -> S3Store:
        return self.opened()

    def take_away(self) -> None:
        self.buckets.stop()

    @property
    def address(self) -> S3Address:
        return parse_s3(urlsplit(self.url))

    def opened(self, patience: Patience = QUICK, *, endpoint: str | None = None, page: int = 1000) -> S3Store:
        """The store as the identity of the moment, through `endpoint` if one is given."""
        address = self.address if endpoint is None else replace(self.address, endpoint=endpoint)
        return S3Store(address.bucket, address.prefix, self.buckets.connected(address, patience), patience, page)

    def requests(self, patience: Patience = QUICK, *, endpoint: str | None = None, bucket: str = BUCKET) -> Requests:
        address = self.address if endpoint is None else replace(self.address, endpoint=endpoint)
        return Requests(bucket, self.buckets.connected(address, patience), patience)

    def hide(self, key: str) -> None:
        """Put a delete marker on a key, as an administrator can."""
        self.buckets.raw().delete_object(Bucket=BUCKET, Key=self.prefix + key)

    def put_over(self, key: str, data: bytes) -> None:
        """Put another version on a key, without a condition."""
        self.buckets.raw().put_object(Bucket=BUCKET, Key=self.prefix + key, Body=data, ChecksumAlgorithm="SHA256")
