"""What every process does first: open the archive, read the active trust file by its digest, prove its rights; and what it does last."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.archive.store import Missing, Store
from signoff.config import Common
from signoff.errors import SignoffError
from signoff.kms.address import is_address
from signoff.metrics.archive import ArchiveMetrics, MeteredStore
from signoff.record.bundle import Signer
from signoff.record.keys import PemSigner
from signoff.record.trust import MAX_TRUST, Trust, Use, read_trust
from signoff.record.values import Digest, sha256
from signoff.verify.reader import Reader

LOG = logging.getLogger("signoff")


def open_archive(config: Common, metrics: ArchiveMetrics) -> tuple[Store, Reader]:
    """Return the store, measured, and a reader under the active trust file; `SignoffError` says what is missing."""
    store = MeteredStore(open_store(config.archive), metrics)
    store.check()
    return store, Reader(store, active_trust(store, config.trust))


def active_trust(store: Store, digest: Digest) -> Trust:
    """Return the trust file with this digest, from the archive; it is hashed, not believed."""
    try:
        stored = store.read(layout.statement("trust", digest), limit=MAX_TRUST)
    except Missing:
        raise SignoffError(
            f"the archive holds no trust file {digest}", where="trust", mend="name the digest that `signoff init` printed"
        ) from None
    if sha256(stored.data) != digest:
        raise SignoffError(f"the trust file {digest} was altered", where=stored.key, mend="restore it from a copy of the archive")
    return read_trust(stored.data, stored.key)


def signer(place: str, use: Use, trust: Trust, cluster: str) -> Signer:
    """Return the signer of a configured key, a private key's file or ``awskms:///…``.

    `SignoffError` unless the trust file names it for this use and cluster.
    """
    own = key_at(place)
    key = trust.key(own.key_id)
    if key is None or key.use != use or key.cluster != cluster:
        named = "does not name it" if key is None else f"names it for {key.use} in cluster {key.cluster}"
        raise SignoffError(
            f"this key {own.key_id} is to sign as {use} in cluster {cluster}, but the trust file {named}",
            where=place,
            mend="add it to the trust file: signoff trust add-key",
        )
    return own


def key_at(place: str) -> Signer:
    """Return the signer of a key, a private key's file or ``awskms:///…``, whatever it is trusted for; `SignoffError` says why not."""
    return key_in_service(place) if is_address(place) else _key_in_file(place)


def _key_in_file(path: str) -> Signer:
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise SignoffError(f"the key cannot be read: {error.strerror}", where=path, mend="mount it, or correct the path") from None
    return PemSigner(pem, path)


def key_in_service(address: str) -> Signer:
    """Return the signer of a key in a key service, whatever it is trusted for; `SignoffError` says why there is none."""
    from signoff.kms.signer import open_signer  # noqa: PLC0415 - the client takes a while to import

    return open_signer(address)


def prove(store: Store) -> None:
    """Prove this process's own rights in the archive, and log what could not be proven."""
    LOG.info("archive: %s", store.prove().remark)


def serve_from_here() -> None:
    """Take what was made so far, modules above all, from what the collector of garbage looks through.

    It lives as long as the process does. Looking through it took a fifth of the time in which a large desk is drawn.
    """
    gc.collect()
    gc.freeze()
