"""`signoff init`: an archive, its keys, its trust file.

1. Nothing that is there is overwritten: a second run finishes what a first one began.
2. A private key never leaves its folder, which is its owner's alone (0700, files 0600), and never lies in the archive. A key in a key
   service is named by its address; nothing of it is made here but the entry in the trust file.
3. The trust file is archived by its digest; from then on the digest names it.
4. A bucket is proven before anything is made: run it with an administrator's access keys. The policies for a writer and a reader are
   written beside the keys; what runs later holds those rights and no more.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import click

from signoff.archive import layout
from signoff.archive.open import access_policies, initialise, open_store
from signoff.archive.store import Store
from signoff.archive.write import create_or_same
from signoff.cli import options, output, reach
from signoff.errors import SignoffError
from signoff.kms.address import is_address
from signoff.record.bundle import Signer
from signoff.record.canonical import Json
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.trust import FORMAT, MAX_TRUST, Trust, Use, read_trust
from signoff.record.values import Digest, format_time, sha256
from signoff.start import key_in_service

_EXAMPLES: Final = """
signoff init file:///srv/signoff/archive --keys ./keys --cluster demo --environment production \\
    --publisher https://login.bank.example paula@bank.example

in a bucket with Object Lock, with an administrator's access keys in the environment:
signoff init "s3://evidence/signoff?endpoint=https://store.bank.example&region=eu-central-1" --keys ./keys --cluster demo \\
    --environment production --publisher https://login.bank.example paula@bank.example

with both private keys in a key service:
signoff init file:///srv/signoff/archive --keys ./keys --cluster demo --environment production \\
    --publisher https://login.bank.example paula@bank.example \\
    --seal-key "awskms:///alias/signoff-seal?region=eu-central-1" --event-key "awskms:///alias/signoff-event?region=eu-central-1"

a later version of the trust file, written by hand (for its keys: signoff trust):
signoff init file:///srv/signoff/archive --trust-file ./keys/trust.json
"""
USES: Final[tuple[Use, ...]] = ("seal", "event")


@dataclass(frozen=True)
class Wanted:
    """What the new trust file shall say."""

    cluster: str
    environments: tuple[str, ...]
    target_clusters: tuple[str, ...]
    publishers: tuple[tuple[str, str], ...]
    engines: tuple[tuple[str, str], ...]
    four_eyes: bool


@dataclass(frozen=True)
class _Made:
    """A key and where it is: its file, or its address in a key service."""

    signer: Signer
    place: str


@options.command("init", examples=_EXAMPLES)
@click.argument("archive", metavar="ARCHIVE_URL")
@click.option("--keys", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the private keys and of trust.json.")
@click.option("--cluster", envvar="SIGNOFF_CLUSTER", show_envvar=True, metavar="NAME", help="The cluster that the keys belong to.")
@click.option("--environment", "environments", multiple=True, metavar="NAME", help="What it may speak for; several times for several.")
@click.option("--target-cluster", "targets", multiple=True, metavar="NAME", help="Where it may promote to; default: the cluster itself.")
@click.option("--publisher", "publishers", multiple=True, nargs=2, metavar="ISSUER SUBJECT", help="Who may publish policies.")
@click.option("--four-eyes-for-policies", "four_eyes", is_flag=True, help="A policy counts once two publishers have agreed to it.")
@click.option("--engine", "engines", multiple=True, nargs=2, metavar="ISSUER SUBJECT", help="The policy engine, which decides in tier 3.")
@click.option("--seal-key", metavar="ADDRESS", help="A key in a key service, awskms:///KEY?region=NAME; none is made then.")
@click.option("--event-key", metavar="ADDRESS", help="Likewise; another key.")
@click.option("--trust-file", type=click.Path(path_type=Path), metavar="FILE", help="Archive this trust file, and make nothing else.")
@click.option("--trust", envvar="SIGNOFF_TRUST", show_envvar=True, metavar="DIGEST", help="With --trust-file: the one that it follows.")
@options.output()
def command(
    archive: str,
    keys: Path | None,
    cluster: str | None,
    environments: tuple[str, ...],
    targets: tuple[str, ...],
    publishers: tuple[tuple[str, str], ...],
    four_eyes: bool,
    engines: tuple[tuple[str, str], ...],
    seal_key: str | None,
    event_key: str | None,
    trust_file: Path | None,
    trust: str | None,
    form: str,
) -> int:
    """Make an archive, the webhook's and the operator's keys, and the trust file that names them; or archive a later trust file.

    A bucket is proven first: whether it locks in COMPLIANCE mode, lets one writer win, and lets nobody delete, the administrator included.
    Policies of least rights for a writer and a reader are written beside the keys.

    A publisher is named as admission resolves them: the issuer of the webhook's configuration, and the subject, for example
    https://login.bank.example and paula@bank.example. So is the engine: the issuer of ServiceAccounts, and signoff-system:signoff-engine.

    A run that was stopped is finished by the same command. What is there is never overwritten.
    """
    if trust_file is not None:
        return _later(archive, trust_file, trust, form)
    wanted = _wanted(cluster, environments, targets, publishers, engines, four_eyes=four_eyes)
    if keys is None:
        raise SignoffError("is missing", where="--keys", mend="name a folder for the private keys, outside of the archive")
    _require_apart(keys, archive)
    elsewhere = {"seal": _in_service("--seal-key", seal_key), "event": _in_service("--event-key", event_key)}
    initialise(archive)
    store = open_store(archive)
    _folder(keys)
    made = {use: elsewhere[use] or _key(keys, use) for use in USES}
    signers = {use: one.signer for use, one in made.items()}
    rights = _policies(keys, archive)
    data = _trust(keys / "trust.json", wanted, signers)
    digest = _archived(store, data)
    remark = store.prove().remark
    if form == "json":
        ids: dict[str, Json] = {use: one.key_id for use, one in signers.items()}
        output.as_machine({"archive": archive, "trust": digest, "version": read_trust(data).version, "keys": ids, "rights": remark})
    else:
        _tell(archive, keys, wanted, made, digest, remark, rights)
    return 0


def _wanted(
    cluster: str | None,
    environments: tuple[str, ...],
    targets: tuple[str, ...],
    publishers: tuple[tuple[str, str], ...],
    engines: tuple[tuple[str, str], ...],
    *,
    four_eyes: bool,
) -> Wanted:
    if cluster is None:
        raise SignoffError("is missing", where="--cluster", mend="name the cluster that the keys belong to")
    for name, given in (("--environment", environments), ("--publisher", publishers)):
        if not given:
            raise SignoffError("is missing", where=name, mend="name at least one")
    if four_eyes and len(set(publishers)) == 1:
        what = "two publishers must agree to each policy, and --publisher names one"
        raise SignoffError(what, where="--four-eyes-for-policies", mend="name another publisher, by their issuer and subject")
    return Wanted(cluster, environments, targets or (cluster,), publishers, engines, four_eyes)


def _later(archive: str, path: Path, active: str | None, form: str) -> int:
    store = open_store(archive)
    data = reach.file_bytes(path, MAX_TRUST)
    later = read_trust(data, str(path))
    if active is not None and active != sha256(data):
        before = reach.trust_in(store, active)
        if later.version <= before.version:
            what = f"is version {later.version}, and the active one ({active[:19]}…) is version {before.version}"
            raise SignoffError(what, where=f"{path}.version", mend=f"write version: {before.version + 1}")
    digest = _archived(store, data)
    if form == "json":
        output.as_machine({"archive": archive, "trust": digest, "version": later.version})
    else:
        output.facts([("archived", f"{path}, version {later.version}"), ("trust", digest)])
        output.tell("\nName this digest as `trust` in the webhook's and the operator's configuration, and as SIGNOFF_TRUST.")
    return 0


def _require_apart(keys: Path, archive: str) -> None:
    if f"{keys.absolute().as_uri()}/".startswith(f"{archive.rstrip('/')}/"):
        raise SignoffError("lies in the archive", where="--keys", mend="keep private keys elsewhere: the archive is there to be read")


def _in_service(option: str, address: str | None) -> _Made | None:
    if address is None:
        return None
    if not is_address(address):
        raise SignoffError("names no key in a key service", where=option, mend="write awskms:///KEY, or leave it out to have a key made")
    return _Made(key_in_service(address), address)


def _folder(folder: Path) -> None:
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise SignoffError(f"cannot be made: {error.strerror}", where=str(folder), mend="name another folder with --keys") from None


def _key(folder: Path, use: Use) -> _Made:
    """Return the signer of a key that is in the folder, or is made now (rules 1 and 2)."""
    path = folder / f"{use}.key"
    try:
        with suppress(FileExistsError):
            _create(path, generate_pem())
        if path.stat().st_mode & 0o077:
            raise SignoffError("others than its owner may read it", where=str(path), mend=f"make a new key, or: chmod 600 {path}")
        return _Made(PemSigner(path.read_bytes(), str(path)), str(path))
    except OSError as error:
        raise SignoffError(f"cannot be written: {error.strerror}", where=str(error.filename or path), mend="name another folder") from None


def _policies(folder: Path, archive: str) -> tuple[Path, ...]:
    """Write the policies of a bucket's writer and reader, unless they are there (rule 1), and return their files; none for a folder."""
    found: list[Path] = []
    for name, data in access_policies(archive).items():
        path = folder / name
        try:
            with suppress(FileExistsError):
                _create(path, data)
        except OSError as error:
            raise SignoffError(f"cannot be written: {error.strerror}", where=str(path), mend="name another folder with --keys") from None
        found.append(path)
    return tuple(found)


def _create(path: Path, data: bytes) -> None:
    """Write a file whole, unless it is there; FileExistsError where it is."""
    if path.exists():
        raise FileExistsError(path)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)
    finally:
        part.unlink()


def _trust(path: Path, wanted: Wanted, signers: Mapping[Use, Signer]) -> bytes:
    """Return the trust file's bytes: those that are there already, if they say what is wanted, or new ones."""
    data = _trust_bytes(wanted, signers)
    try:
        _create(path, data)
    except FileExistsError:
        known = reach.file_bytes(path, MAX_TRUST)
        if _said(read_trust(known, str(path))) != _said(read_trust(data)):
            mend = f"archive it as it is with --trust-file {path}, or name another folder with --keys"
            raise SignoffError("is there already, and says other than these options", where=str(path), mend=mend) from None
        return known
    except OSError as error:
        raise SignoffError(f"cannot be written: {error.strerror}", where=str(path), mend="name another folder with --keys") from None
    return data


def _trust_bytes(wanted: Wanted, signers: Mapping[Use, Signer]) -> bytes:
    since = format_time(datetime.now(UTC))
    targets = {"environments": list(wanted.environments), "clusters": list(wanted.target_clusters)}
    keys = [
        {
            "id": signer.key_id,
            "name": f"{use} key of {wanted.cluster}",
            "use": use,
            "algorithm": "ecdsa-p256-sha256",
            "publicKey": signer.public_pem,
            "cluster": wanted.cluster,
            "targets": targets,
            "validFrom": since,
        }
        for use, signer in signers.items()
    ]
    publishers = [{"issuer": issuer, "subject": subject} for issuer, subject in wanted.publishers]
    engines = [{"issuer": issuer, "subject": subject} for issuer, subject in wanted.engines]
    policies = {"publishers": publishers, "fourEyes": wanted.four_eyes, **({"engines": engines} if engines else {})}
    value = {"format": FORMAT, "version": 1, "keys": keys, "policies": policies}
    data = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    read_trust(data, "options")
    return data


def _said(trust: Trust) -> tuple[object, ...]:
    keys = tuple((key.id, key.use, key.cluster, key.targets) for key in trust.keys)
    return (trust.version, keys, trust.policies)


def _archived(store: Store, data: bytes) -> Digest:
    digest = sha256(data)
    create_or_same(store, layout.statement("trust", digest), data)
    return digest


def _tell(
    archive: str, keys: Path, wanted: Wanted, made: Mapping[Use, _Made], digest: Digest, remark: str, rights: tuple[Path, ...]
) -> None:
    output.facts(
        [
            ("archive", archive),
            ("rights", remark),
            ("seal key", f"{made['seal'].place}  (for the webhook alone)"),
            ("", made["seal"].signer.key_id),
            ("event key", f"{made['event'].place}  (for the operator alone)"),
            ("", made["event"].signer.key_id),
            ("trust file", f"{keys / 'trust.json'}  (public; archived under its digest)"),
            ("", digest),
            *(("policy", f"{path}  (for the archive's bucket)") for path in rights),
        ]
    )
    shared = [f"cluster: {wanted.cluster}", f"archive: {archive}", f"trust: {digest}"]
    _block("In the webhook's configuration", [*shared, f"sealKey: {_configured(made['seal'], 'seal')}"])
    _block("In the operator's configuration", [*shared, f"eventKey: {_configured(made['event'], 'event')}"])
    _block("For this command line", [f"export SIGNOFF_ARCHIVE={shlex.quote(archive)}", f"export SIGNOFF_TRUST={digest}"])


def _configured(made: _Made, use: Use) -> str:
    return made.place if is_address(made.place) else f"<where {use}.key is mounted>"


def _block(title: str, lines: Iterable[str]) -> None:
    output.tell(f"\n{title}:\n")
    for line in lines:
        output.tell(f"    {line}")
