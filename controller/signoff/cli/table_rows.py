"""From an object of the archive to its rows of the table.

1. Statements lie under ``events/``, ``corrections/``, ``seals/`` and ``statements/`` (but for trust files, which nobody signs). Each is a
   row, and so is each check that an event brings along: a check lies nowhere else, and whether it counts is said by that event.
2. A freeze is no statement: nobody signed it. What it says stands in the rows of its seals and of its outcome, which name it by digest.
3. Everything goes through the verifier. What does not verify is a row that says so and why, and says nothing else but where it lies, when
   it was stored and which bytes it is: a question that forgets to ask whether a row verifies must not count what nobody believes.
4. A row follows from the archive and the trust file alone: no clock, no chance.
5. A store that is out of reach or refuses to be read ends it (`Unavailable`, `Refused`): a row stands for good, and must not tell of a
   disturbance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Refused, Store, Stored, Unavailable
from signoff.cli.table_cells import (
    check_cells,
    correction_cells,
    frozen_cells,
    grant_cells,
    outcome_cells,
    passkey_cells,
    person_cells,
    policy_cells,
    seal_cells,
    times,
)
from signoff.cli.table_columns import Cell, Row
from signoff.decision.seals import CouldNotTell, Filed
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.check import COUNTS, opened, standing_input
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.case import Outcome
from signoff.verify.policies import refuse_underived
from signoff.verify.reader import Reader
from signoff.verify.statements import believe_correction, believe_decision, believe_delegation, believe_policy, believe_registered
from signoff.verify.verifier import verify

_PREFIXES: Final = (layout.CORRECTIONS_PREFIX, layout.EVENTS_PREFIX, "seals/", "statements/")
_NO_STATEMENTS: Final = layout.statements_prefix("trust")
_FOLDERS: Final = {"corrections": "correction", "events": "event", "seals": "seal"}

Cells = dict[str, Cell]


def keys(store: Store) -> Iterator[str]:
    """Yield the keys of all statements of an archive, in ascending order (rule 1)."""
    for prefix in _PREFIXES:
        yield from (key for key in store.list(prefix) if not key.startswith(_NO_STATEMENTS))


def rows(reader: Reader, key: str) -> tuple[Row, ...]:
    """Return the rows of the object under a key, at least one; raises `Unavailable` and `Refused` alone (rules 3 and 5)."""
    stored: Stored | None = None
    try:
        stored = reader.store.read(key, limit=MAX_BUNDLE)
        told = _told(reader, stored)
    except (Unavailable, Refused):
        raise
    except CouldNotTell as error:
        told = [{**_unbelieved(key, stored), "verifies": "could not tell", "why_not": str(error)}]
    except SignoffError as error:
        told = [{**_unbelieved(key, stored), "verifies": "no", "why_not": str(error)}]
    when = times("stored_at", "stored_unix", stored.stored_at if stored is not None else None)
    return tuple({"archive_key": key, "number": number, **when, **cells} for number, cells in enumerate(told))


def _told(reader: Reader, stored: Stored) -> list[Cells]:
    looks: Mapping[str, Callable[[Reader, Stored], list[Cells]]] = {
        "correction": _correction,
        "event": _outcome,
        "seal": _seal,
        "policy": _policy,
        "delegation": _delegation,
        "passkey": _passkey,
    }
    look = looks.get(_kind(stored.key))
    if look is None:
        raise CouldNotTell(f"is a {_kind(stored.key)}, which this version cannot read", where=stored.key)
    return look(reader, stored)


def _kind(key: str) -> str:
    folder, _, rest = key.partition("/")
    return _FOLDERS.get(folder) or rest.partition("/")[0]


def _unbelieved(key: str, stored: Stored | None) -> Cells:
    """Return what is said of a statement that is not believed: nothing that rests on its own word (rule 3)."""
    cells: Cells = {"type": _kind(key)}
    try:
        cells["id"] = layout.event_id(key)
    except SignoffError:
        cells["id"] = None
    try:
        cells["digest"] = read_bundle(stored.data, key).digest if stored is not None else None
    except SignoffError:
        cells["digest"] = None
    return cells


def _believed(kind: str, digest: Digest, signed_by: Digest, request: RequestId | None = None) -> Cells:
    return {"type": kind, "id": request, "digest": digest, "signed_by": signed_by, "verifies": "yes"}


def _outcome(reader: Reader, stored: Stored) -> list[Cells]:
    slot = RequestId(layout.event_id(stored.key))
    outcome = Outcome(Filed(stored.data, stored.stored_at), slot)
    verified = verify(outcome, reader.trust, reader.policies_of(outcome))
    refuse_underived(verified.freeze, reader.policy, reader.trust)
    kind = "promotion" if verified.promotes else "rejection"
    event: Cells = {
        **_believed(kind, verified.digest, outcome.bundle.key_id, slot),
        **frozen_cells(verified.freeze, sha256(verified.payload)),
        **outcome_cells(verified, outcome),
    }
    return [event, *_checks(slot, verified.freeze.route.inputs, outcome)]


def _checks(request: RequestId, inputs: Mapping[str, str], outcome: Outcome) -> Iterator[Cells]:
    """Yield the checks that a believed event brings along. Whether each counts was told when it was frozen; rule 12 holds tier 3 to it."""
    for one in opened(outcome.freeze.request.spec):
        standing = inputs.get(standing_input(one.bundle.digest), "the record does not say whether it counts")
        if standing == COUNTS:
            yield {**_believed("check", one.bundle.digest, one.bundle.key_id, request), **check_cells(one.check)}
        else:
            yield {"type": "check", "id": request, "digest": one.bundle.digest, "verifies": "no", "why_not": f"does not count: {standing}"}


def _seal(reader: Reader, stored: Stored) -> list[Cells]:
    found = believe_decision(stored, reader)
    believed = _believed("seal", found.bundle.digest, found.bundle.key_id, found.seal.id)
    frozen = {**frozen_cells(found.freeze, found.seal.freeze), **times("frozen_at", "frozen_unix", found.frozen_at)}
    return [{**believed, **frozen, **seal_cells(found.seal)}]


def _correction(reader: Reader, stored: Stored) -> list[Cells]:
    bundle, correction, verified = believe_correction(stored, reader)
    return [{**_believed("correction", bundle.digest, bundle.key_id, verified.id), **correction_cells(correction, verified.freeze)}]


def _policy(reader: Reader, stored: Stored) -> list[Cells]:
    bundle, policy = believe_policy(stored, reader.trust)
    by = person_cells(policy.publisher, policy.time)
    return [{**_believed("policy", bundle.digest, bundle.key_id), **policy_cells(policy, bundle.digest), **by}]


def _delegation(reader: Reader, stored: Stored) -> list[Cells]:
    bundle, grant = believe_delegation(stored, reader.trust)
    return [{**_believed("delegation", bundle.digest, bundle.key_id), **grant_cells(grant), **person_cells(grant.grantor, grant.time)}]


def _passkey(reader: Reader, stored: Stored) -> list[Cells]:
    bundle, passkey = believe_registered(stored, reader.trust)
    by = person_cells(passkey.principal, passkey.time)
    return [{**_believed("passkey", bundle.digest, bundle.key_id), **passkey_cells(passkey), **by}]
