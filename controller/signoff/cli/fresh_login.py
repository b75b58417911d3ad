"""Signing in anew for one decision, in the system's browser (RFC 8252).

1. Who signs people in the trust file says: its one identity provider, or the one of several that was asked for; and it names this command's
   client, which is a public one. That is asked before anybody has read a desk for nothing.
2. The login is asked for as the portal asks for one (`signoff.openid`): for this freeze, this rendition and this verdict, and anew.
3. The browser is the system's; no password passes through here. The address is printed, too, for where none opens.
4. Whoever signs in is whoever the API server knows: their username ends with the subject, whatever prefix it has there. The seal's door
   asks more exactly; but another person's ID token need not even be sent.
5. Whatever comes of it but such a token: nothing was decided, and that is said. Ctrl-C as well.
"""

from __future__ import annotations

import secrets
import webbrowser
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from signoff.cli import loopback, output
from signoff.cli.deciding import Desk, Undecided, Verdict
from signoff.cli.progress import progress
from signoff.decision.consent import Login, consent_nonce, suffices
from signoff.errors import SignoffError
from signoff.openid import Asked, CannotSignIn, Client, was_anew
from signoff.record.trust import Trust

SECONDS: Final = 300.0
"""How long the end of a sign-in is waited for: as long as its token may be old when it decides (`decision.consent`)."""
_NOTHING: Final = "nothing was decided"
_SAFE: Final = f"{_NOTHING}; it is safe to press again"


@dataclass(frozen=True)
class Way:
    """Where to sign in: at which provider (None: the only one), as which client, by which CA (None: the machine's)."""

    issuer: str | None
    client: str
    ca: str | None


def client_for(shown: Desk, trust: Trust, way: Way) -> Client:
    """Return the client to sign in as (rule 1); `Undecided` says whom to ask where there is none, or that a login would not do."""
    route = shown.freeze.route
    asked = route.requirement.assurance
    if not suffices("fresh-login", asked):
        what = f"{route.tier} asks for {asked}, and a login from here proves a fresh-login"
        raise Undecided(what, where=route.policy, mend=f"decide in the portal; {_NOTHING}")
    found = [one for one in trust.identityProviders or () if way.issuer in (None, one.issuer)]
    if not found:
        what = f"names no identity provider {way.issuer or ''}".rstrip()
        raise Undecided(what, where="trust file", mend=f"ask whoever runs signoff to add it (signoff trust add-provider); {_NOTHING}")
    if len(found) > 1:
        issuers = ", ".join(one.issuer for one in found)
        raise Undecided(f"names several identity providers: {issuers}", where="trust file", mend=f"choose one with --issuer; {_NOTHING}")
    provider = found[0]
    if way.client not in provider.clients:
        what = f"does not name the client {way.client} of {provider.issuer}"
        mend = f"ask whoever runs signoff to add it (signoff trust add-provider), or name another with --client; {_NOTHING}"
        raise Undecided(what, where="trust file", mend=mend)
    return Client(provider, way.client, None, way.ca)


def token_for(shown: Desk, verdict: Verdict, client: Client, username: str, *, browser: bool, seconds: float = SECONDS) -> str:
    """Return the ID token of a login for this decision, by the person whom the API server knows as ``username``; `Undecided` says why
    there is none (rules 2 to 5).
    """
    try:
        login, token = _signed_in(consent_nonce(shown.digest, shown.rendition, verdict), client, browser=browser, seconds=seconds)
    except SignoffError as error:
        raise Undecided(error.what, error.where, f"{error.mend}; {_NOTHING}" if error.mend else _SAFE) from None
    except KeyboardInterrupt:
        output.tell(f"\n{_NOTHING}", err=True)
        raise
    if not username.endswith(login.identity.subject):
        what = f"you signed in as {login.identity.subject}, and to the API server you are {username}"
        raise Undecided(what, where="sign-in", mend=f"sign out there, and sign in as yourself; {_NOTHING}")
    output.tell(f"signed in as {output.plain(login.name)}, for this decision", err=True)
    return token


def _signed_in(nonce: str, client: Client, *, browser: bool, seconds: float) -> tuple[Login, str]:
    begun, state = datetime.now(UTC), secrets.token_urlsafe(24)
    with loopback.listening(state) as listener:
        asked = Asked(listener.address, secrets.token_urlsafe(48), nonce, fresh=True)
        _lead(client.address(asked, state), browser=browser)
        with progress("waiting for you to sign in") as waiting:
            answer = listener.wait(seconds, waiting.step)
    if answer.error:
        raise CannotSignIn(f"the identity provider says: {answer.error}", where="sign-in")
    login, token = client.end(asked, answer.code, answer.issuer, datetime.now(UTC))
    if not was_anew(login, begun):
        what = (
            f"you signed in at {login.signed_in:%H:%M:%S} UTC, and were asked to at {begun:%H:%M:%S}: the identity provider did not ask "
            "you anew, or its clock is behind"
        )
        raise CannotSignIn(what, where="sign-in", mend="sign out there and press again, or ask whoever runs it")
    return login, token


def _lead(address: str, *, browser: bool) -> None:
    """Open the browser, unless none is wanted, and say where to go in any case (rule 3)."""
    output.tell("\nSign in for this very decision, in a browser on this machine; Ctrl-C decides nothing:", err=True)
    output.tell(f"  {address}", err=True)
    if browser and not webbrowser.open(address):
        output.tell("no browser opened: open this address yourself", err=True)
