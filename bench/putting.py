"""Many conditional writes into a bucket, each as the archive's own client makes it, and with less around it.

1. The request is the archive's: a conditional PUT (``If-None-Match: *``) with its SHA-256 as checksum, signed by botocore, and an answer
   that names a version. A store that answered otherwise is an error.
2. What the archive's client does besides (events, retries, parsing, a look at the version afterwards) is left out: a million events are two
   million writes, and the client took more of the processor than the store did.
"""

from __future__ import annotations

import base64
import threading
from hashlib import sha256
from http.client import HTTPConnection
from typing import Final
from urllib.parse import quote, urlsplit

from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from bench.errors import BenchError
from signoff.archive.s3_address import S3Address

_SECONDS: Final = 30


class Putter:
    """Writes into one bucket of a store on this machine. Safe to use from many threads."""

    def __init__(self, address: S3Address) -> None:
        if address.endpoint is None or address.region is None:
            raise BenchError("only a store with an endpoint and a region of its own is filled")
        credentials = Session().get_credentials()
        if credentials is None:
            raise BenchError("no access keys in the environment")
        self._host = urlsplit(address.endpoint).netloc
        self._folder = f"/{address.bucket}/{address.prefix}"
        self._auth = SigV4Auth(credentials.get_frozen_credentials(), "s3", address.region)
        self._local = threading.local()

    def put(self, key: str, data: bytes) -> None:
        """Write an object, unless it is there already."""
        digest = sha256(data)
        path = quote(self._folder + key, safe="/~")
        headers = {
            "If-None-Match": "*",
            "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
            "X-Amz-Content-SHA256": digest.hexdigest(),
        }
        request = AWSRequest("PUT", f"http://{self._host}{path}", headers=headers, data=data)
        self._auth.add_auth(request)
        connection = self._connection()
        connection.request("PUT", path, data, dict(request.headers))
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 412:
            return
        if answer.status != 200 or not answer.getheader("x-amz-version-id"):
            raise BenchError(f"the store answered {answer.status} to the write of {key}: {said[:300]!r}")

    def _connection(self) -> HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = HTTPConnection(self._host, timeout=_SECONDS)
        connection: HTTPConnection = self._local.connection
        return connection
