"""`signoff trust`: the keys that are trusted, and the next version of the file that says so.

1. Nothing is edited in place: each change reads the active trust file from the archive by its digest, and archives the next version under
   its own digest. Which one is active is what the configurations say, and nobody else.
2. So whoever runs this needs the right to create in the archive, and changes nothing by it alone.
3. Only public keys are read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import click

from signoff.archive.open import open_store
from signoff.archive.store import Store
from signoff.cli import options, output, reach
from signoff.cli.trust_files import created, tell_unchanged
from signoff.cli.trust_providers import command as add_provider
from signoff.errors import SignoffError
from signoff.kms.address import is_address
from signoff.record.canonical import Json, dumps
from signoff.record.keys import key_id
from signoff.record.promotion import as_json
from signoff.record.rotation import add_engine, add_key, beside, compromise_key, end_engine, end_key, find_key, gap
from signoff.record.trust import Answer, Key, Trust, TrustedPrincipal, Use, valid_when_stored
from signoff.record.values import Digest, RecordError, format_time, parse, parse_time
from signoff.start import key_in_service

_MAX_PEM: Final = 4096
_ALL: Final = """  signoff trust show
  signoff trust add-key event-2.pub --use event --cluster demo --environment production --name "event key 2 of demo"
  signoff trust end-key "event key of demo" --at 2027-01-31T12:00:00Z
  signoff trust compromise-key "event key of demo" --at 2027-01-17T03:00:00Z"""
_SHOW: Final = """
signoff trust show
signoff trust show -o json
"""
_ADD: Final = """
openssl pkey -in event-2.key -pubout -out event-2.pub
signoff trust add-key event-2.pub --use event --cluster demo --environment production --name "event key 2 of demo"
signoff trust add-key "awskms:///alias/signoff-event?region=eu-central-1" --use event --cluster demo --environment production \\
    --name "event key 2 of demo"
"""
_END: Final = """
signoff trust end-key "event key of demo" --at 2027-01-31T12:00:00Z
"""
_COMPROMISE: Final = """
signoff trust compromise-key "event key of demo" --at 2027-01-17T03:00:00Z
"""


_ADD_ENGINE: Final = """
signoff trust add-engine https://kubernetes.demo.bank.example signoff-system:signoff-engine
"""
_END_ENGINE: Final = """
signoff trust end-engine https://kubernetes.demo.bank.example signoff-system:signoff-engine
"""


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return value if isinstance(value, datetime) else parse_time(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group("trust", context_settings=options.SETTINGS, epilog=f"\b\nExamples:\n{_ALL}")
def command() -> None:
    """Show which keys are trusted, and make the next version of the trust file.

    A version is archived under its digest and never edited. It counts from when the webhook's and the operator's configuration (and
    SIGNOFF_TRUST) name that digest and the processes were restarted.
    """


@options.command("show", examples=_SHOW)
@options.archive()
@options.trust()
@options.output()
def show(archive: str, trust: str, form: str) -> int:
    """Print the active trust file: keys, what each is for and when it is valid, and who may publish policies."""
    active, now = reach.trust_in(open_store(archive), trust), datetime.now(UTC)
    if form == "json":
        output.as_machine({"trust": trust, **as_json(active)})
        return 0
    eyes = "two publishers must have agreed to a policy" if active.policies.fourEyes else "one publisher suffices for a policy"
    output.facts([("trust file", trust), ("version", str(active.version)), ("four eyes", eyes)])
    for key in active.keys:
        output.tell()
        output.facts([*_facts(key), ("now", _state(key, now))])
    for title, trusted in (("Policy publishers", active.policies.publishers), ("Policy engines (tier 3)", active.policies.engines or ())):
        if trusted:
            output.tell(f"\n{title}:")
            output.table([(_principal(one),) for one in trusted], margin=2)
    for provider in active.identityProviders or ():
        keys = f"under {len(provider.keys)} keys that are listed" if provider.keys is not None else "under whichever key it names"
        output.tell(f"\nIdentity provider {provider.issuer}:")
        output.paragraph(f"for {', '.join(provider.clients)}, {keys}; the subject is {provider.subjectClaim}", first="  ")
    return 0


@options.command("add-key", examples=_ADD)
@click.argument("key", metavar="FILE_OR_ADDRESS")
@click.option("--use", type=click.Choice(get_args(Use)), required=True, help="What it may sign.")
@click.option("--name", required=True, metavar="TEXT", help="What messages call it; a name of its own.")
@options.cluster()
@click.option("--environment", "environments", multiple=True, required=True, metavar="NAME", help="What it may speak for; several times.")
@click.option("--target-cluster", "targets", multiple=True, metavar="NAME", help="Where it may promote to; default: the cluster itself.")
@click.option("--from", "begins", type=_Moment(), metavar="TIME", help="From when on; default: now.")
@options.archive()
@options.trust()
@options.output()
def add(
    key: str,
    use: Use,
    name: str,
    cluster: str,
    environments: tuple[str, ...],
    targets: tuple[str, ...],
    begins: datetime | None,
    archive: str,
    trust: str,
    form: str,
) -> int:
    """Trust another key, beside those that are: a public key's PEM file, or awskms:///KEY."""
    store, now = open_store(archive), datetime.now(UTC)
    active, pem = reach.trust_in(store, trust), _public(key)
    value: dict[str, Json] = {
        "id": key_id(pem),
        "name": name,
        "use": use,
        "algorithm": "ecdsa-p256-sha256",
        "publicKey": pem,
        "cluster": cluster,
        "targets": {"environments": list(environments), "clusters": list(targets or (cluster,))},
        "validFrom": format_time(begins or now),
    }
    added = parse(Key, dumps(value), key)
    return _archived(store, archive, add_key(active, added, now), added, now, form)


@options.command("end-key", examples=_END)
@click.argument("key", metavar="NAME_OR_ID")
@click.option("--at", type=_Moment(), required=True, metavar="TIME", help="From then on nothing that it signed is stored and believed.")
@options.archive()
@options.trust()
@options.output()
def end(key: str, at: datetime, archive: str, trust: str, form: str) -> int:
    """End a key, now or later. What the store took before stays believed."""
    store, now = open_store(archive), datetime.now(UTC)
    active = reach.trust_in(store, trust)
    known = find_key(active, key)
    return _archived(store, archive, end_key(active, known, at, now), known, now, form)


@options.command("compromise-key", examples=_COMPROMISE)
@click.argument("key", metavar="NAME_OR_ID")
@click.option("--at", type=_Moment(), required=True, metavar="TIME", help="The earliest moment at which somebody else may have had it.")
@options.archive()
@options.trust()
@options.output()
def compromise(key: str, at: datetime, archive: str, trust: str, form: str) -> int:
    """Disown a key from a moment that has been. What the store took since then is no longer believed, what it took before is."""
    store, now = open_store(archive), datetime.now(UTC)
    active = reach.trust_in(store, trust)
    known = find_key(active, key)
    return _archived(store, archive, compromise_key(active, known, at, now), known, now, form)


@options.command("add-engine", examples=_ADD_ENGINE)
@click.argument("issuer")
@click.argument("subject")
@options.archive()
@options.trust()
@options.output()
def add_the_engine(issuer: str, subject: str, archive: str, trust: str, form: str) -> int:
    """Trust a policy engine: SUBJECT, as ISSUER vouches for them, decides in tier 3 from now on.

    It is named as admission resolves it: the issuer of ServiceAccounts in the webhook's configuration, and NAMESPACE:NAME.
    """
    store, now = open_store(archive), datetime.now(UTC)
    return _engine_changed(store, archive, add_engine(reach.trust_in(store, trust), issuer, subject, now), subject, form)


@options.command("end-engine", examples=_END_ENGINE)
@click.argument("issuer")
@click.argument("subject")
@options.archive()
@options.trust()
@options.output()
def end_the_engine(issuer: str, subject: str, archive: str, trust: str, form: str) -> int:
    """Trust a policy engine no longer. What it decided stays decided."""
    store, now = open_store(archive), datetime.now(UTC)
    return _engine_changed(store, archive, end_engine(reach.trust_in(store, trust), issuer, subject, now), subject, form)


for _one in (show, add, end, compromise, add_the_engine, end_the_engine, add_provider):
    command.add_command(_one)


def _principal(one: TrustedPrincipal) -> str:
    until = f", until {one.validUntil}" if one.validUntil else ""
    begun = f", from {one.validFrom}" if one.validFrom else ""
    return f"{one.subject}  ({one.issuer}){begun}{until}"


def _engine_changed(store: Store, archive: str, later: Trust, subject: str, form: str) -> int:
    digest = created(store, later)
    if form == "json":
        output.as_machine({"archive": archive, "trust": digest, "version": later.version, "engine": subject})
        return 0
    output.facts([("engine", subject), ("archived", f"version {later.version}"), ("trust", digest)])
    tell_unchanged()
    return 0


def _public(place: str) -> str:
    if is_address(place):
        return key_in_service(place).public_pem
    data = reach.file_bytes(Path(place), _MAX_PEM)
    if b"PRIVATE KEY" in data:
        mend = f"give its public half: openssl pkey -in {place} -pubout"
        raise SignoffError("holds a private key, which has no business here", where=place, mend=mend)
    try:
        pem = data.decode("ascii").replace("\r\n", "\n").strip() + "\n"
        key_id(pem)
    except (UnicodeDecodeError, RecordError):
        raise SignoffError("no public key in PEM, ECDSA on P-256", where=place, mend="openssl pkey -in KEY -pubout writes one") from None
    return pem


def _archived(store: Store, archive: str, later: Trust, changed: Key, now: datetime, form: str) -> int:
    digest = created(store, later)
    key = next(one for one in later.keys if one.id == changed.id)
    others, ends = beside(later, key), gap(later, key, now)
    if form == "json":
        names: list[Json] = [one.name for one in others]
        told: dict[str, Json] = {
            "archive": archive,
            "trust": digest,
            "version": later.version,
            "key": key.id,
            "beside": names,
            "noKeyFrom": ends,
        }
        output.as_machine(told)
    else:
        _tell(later, key, digest, others, ends)
    return 0


def _tell(later: Trust, key: Key, digest: Digest, others: Sequence[Key], ends: str | None) -> None:
    output.facts([*_facts(key), ("archived", f"version {later.version}"), ("trust", digest)])
    for one in others:
        until = f"until {one.validUntil}" if one.validUntil else "until it is ended"
        output.paragraph(f"{one.name} is believed beside it, {until}.", first="\n")
    if ends is not None:
        what = f"From {ends} on no {key.use} key of cluster {key.cluster} is valid, until another begins: nothing can be promoted there."
        output.paragraph(what, first="\nMind: ")
    tell_unchanged()


def _facts(key: Key) -> list[tuple[str, str]]:
    until = f" until {key.validUntil}" if key.validUntil else ""
    places = f"{', '.join(key.targets.environments)} in {', '.join(key.targets.clusters)}"
    facts = [
        ("key", key.name),
        ("", key.id),
        ("use", f"{key.use}, of cluster {key.cluster}, for {places}"),
        ("valid", f"from {key.validFrom}{until}"),
    ]
    return facts + ([("compromised", f"from {key.compromised.at}")] if key.compromised else [])


def _state(key: Key, now: datetime) -> str:
    if valid_when_stored(key, now) is Answer.YES:
        return "valid"
    if key.compromised is not None:
        return "compromised: believed of what was stored before"
    return "not valid yet" if now < parse_time(key.validFrom) else "ended: believed of what was stored before"
