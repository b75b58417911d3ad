"""The portal's own pages, around the frozen desk: server-rendered, with a script only where a passkey is asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment
from markupsafe import Markup

from signoff.decision.meanings import REJECTS, meaning_of
from signoff.desk.markup import environment
from signoff.portal.desks import MOST_DECIDED, MOST_WAITING, Desk, Entry, Queue, age
from signoff.portal.past import PER_PAGE, Asked, Page
from signoff.portal.sessions import Session
from signoff.record.freeze import Assurance, Document
from signoff.record.values import parse_time

RESTS: Final[dict[Assurance, str]] = {
    "api-server": "Your decision rests on your sign-in here; its ID token is kept with it.",
    "session": "Your decision rests on your sign-in here; its ID token is kept with it.",
    "fresh-login": "You will sign in anew for this very decision: your identity provider's signature then covers what you decide on.",
    "passkey": "You will use your passkey for this very decision: its signature then covers what you decide on.",
}
_WORDS: Final[dict[Assurance, str]] = {
    "api-server": "the API server's word",
    "session": "a session, by the identity provider's token",
    "fresh-login": "a fresh login, whose token covers what was decided",
    "passkey": "a passkey, whose signature covers what was decided",
}
_HAPPENED: Final = (("", "all"), ("promoted", "promoted"), ("rejected", "rejected"), ("corrected", "revoked or annotated since"))
_SOON, _LATER = "2", "10"
"""After how many seconds a receipt looks again: where the event is being written, and where somebody is awaited."""


@dataclass(frozen=True)
class Held:
    """A passkey of somebody's, as the API server has it: its resource's name, what they call it, its credential, and its times."""

    name: str
    label: str
    credential: str
    time: str
    until: str


@dataclass(frozen=True)
class Frame:
    """What every page shows: of which cluster, and whose session it is."""

    cluster: str
    session: Session


def style() -> str:
    """Return the style sheet."""
    return _source("page.css")


def script() -> str:
    """Return the script of the pages on which a passkey is made or used."""
    return _source("passkey.js")


def _source(name: str) -> str:
    environment_ = _environment()
    assert environment_.loader is not None  # noqa: S101 - a package loader, always
    return str(environment_.loader.get_source(environment_, name)[0])


def welcome(frame: Frame, issuer: str, then: str, *, lost: bool = False) -> str:
    """Return the page of somebody who has not signed in; ``lost``: who pressed a button, and is not signed in any more."""
    return _page(frame, "welcome.html.j2", "Sign in", issuer=issuer, next=then, lost=lost)


def leaving(frame: Frame, desk: Desk, verdict: str, address: str, issuer: str) -> str:
    """Return the page that leads on to the provider, to sign in for one decision."""
    refresh = f"0; url={address}"
    return _page(frame, "leaving.html.j2", "Sign in anew", refresh=refresh, desk=desk, verdict=verdict, address=address, issuer=issuer)


def with_passkey(frame: Frame, desk: Desk, said: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """Return the page on which a passkey is used for one decision. ``said`` is the form that was pressed, ``asked`` what is asked."""
    verb = "Approve" if said["verdict"] == "Approve" else "Reject"
    return _page(frame, "with_passkey.html.j2", f"{verb} {desk.title} with your passkey", desk=desk, verb=verb, said=said, asked=asked)


def passkeys(frame: Frame, held: Sequence[Held], asked: Mapping[str, str], issuer: str) -> str:
    """Return somebody's passkeys, and the form by which they register another."""
    return _page(frame, "passkeys.html.j2", "Your passkeys", held=held, asked=asked, issuer=issuer)


def registering(frame: Frame, address: str, issuer: str) -> str:
    """Return the page that leads on to the provider, to sign in for one passkey."""
    return _page(frame, "registering.html.j2", "Sign in anew", refresh=f"0; url={address}", address=address, issuer=issuer)


def explanation(frame: Frame, desk: Desk) -> str:
    """Return the page around a desk's explanation."""
    return _page(frame, "explanation.html.j2", f"Explanation of {desk.title}", desk=desk, document=desk.freeze.explanation)


def queue(frame: Frame, found: Queue, now: datetime) -> str:
    """Return somebody's queue."""
    waiting = [one for one in found.entries if one.state.outcome is None]
    mine = [one for one in waiting if not one.own and not one.why_not]
    others = [one for one in waiting if not one.own and one.why_not]
    done = [one for one in found.entries if one.own]
    return _page(
        frame,
        "queue.html.j2",
        "Your queue",
        mine=mine,
        others=others,
        done=done,
        more_wait=MOST_WAITING if found.more_wait else None,
        more_decided=MOST_DECIDED if found.more_decided else None,
        age=lambda since: age(since, now),
    )


def desk(frame: Frame, entry: Entry, page: Document) -> str:
    """Return a desk and the form under which it is decided."""
    requirement = entry.desk.freeze.route.requirement
    return _page(
        frame,
        "desk.html.j2",
        entry.desk.title,
        desk=entry.desk,
        state=entry.state,
        page=page,
        roles=entry.roles,
        why_not=entry.why_not,
        own=entry.own,
        rests=RESTS[requirement.assurance],
        opened=entry.desk.digest in frame.session.opened,
        approves=meaning_of(entry.desk.freeze.route.tier, "Approve"),
        rejects=REJECTS,
    )


def receipt(frame: Frame, entry: Entry, *, looks: bool) -> str:
    """Return how far a desk is, or the receipt. ``looks``: whether the page asks again by itself, for as long as there is no outcome."""
    state = entry.state
    refresh = None if not looks or state.outcome is not None else _LATER if state.missing else _SOON
    return _page(
        frame,
        "receipt.html.j2",
        entry.desk.title,
        refresh=refresh,
        desk=entry.desk,
        state=state,
        own=entry.own,
        words=_WORDS.__getitem__,
        moment=_moment,
    )


def history(frame: Frame, model: str, asked: Asked, page: Page) -> str:
    """Return a page of a model's history."""
    query = urlencode({"environment": asked.environment or "", "what": asked.what or "", "after": page.older or ""})
    return _page(
        frame,
        "history.html.j2",
        f"What was decided of {model}",
        model=model,
        asked=asked,
        page=page,
        choices=_HAPPENED,
        per_page=PER_PAGE,
        older=f"/models/{model}?{query}",
    )


def message(frame: Frame, title: str, what: str, back: str, back_words: str) -> str:
    """Return a page that says what did not come about, and where to go on."""
    return _page(frame, "message.html.j2", title, what=what, back=back, back_words=back_words)


def _page(frame: Frame, template: str, title: str, *, refresh: str | None = None, **values: object) -> str:
    session = frame.session
    shown = {"cluster": frame.cluster, "person": session.person, "csrf": session.csrf, "title": title, "refresh": refresh, "when": _when}
    return _environment().get_template(template).render(**shown, **values)


@cache
def _environment() -> Environment:
    return environment("signoff.portal")


def _when(time: str) -> Markup:
    """Return a time of the record as a page shows it."""
    return Markup('<time datetime="{0}">{1}</time>').format(time, _moment(parse_time(time)))


def _moment(time: datetime | None) -> str:
    return "at an unknown time" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
