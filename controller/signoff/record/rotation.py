"""The next version of a trust file: which key comes, ends, or is disowned. The active one judges the whole past, so nothing is taken out.

1. A key is added from now or later on, never backdated: what was stored before it was trusted stays untrusted.
2. A key ends now or later, never in the past: what the store took since then would no longer count. An end that has come is not moved.
3. A key is compromised from a moment that has been. That moment may move back, never forward: what was disbelieved is not believed again.
4. Times are in order: a key's end and its compromise lie after its beginning.
5. An engine comes now and ends now: what it decided meanwhile stays decided. One that ended may come again.
6. An identity provider is added, with clients and keys; what was proven by it stays proven, so none is taken out, and how its tokens are
   read does not change.
7. Whoever changes the keys is told which keys of the same use and cluster are valid beside a new one, and when a use is left without any.

The version counts up by one with each change. Time is passed in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from signoff.record.canonical import dumps
from signoff.record.trust import Answer, IdentityProvider, Key, Trust
from signoff.record.values import RecordError, Timestamp, format_time, parse, parse_time

_COMPROMISE = "for a key in other hands: signoff trust compromise-key"


def find_key(trust: Trust, named: str) -> Key:
    """Return the one key that an id, the beginning of an id or a name means; `RecordError` where that is none or several."""
    found = [key for key in trust.keys if named in {key.id, key.name}]
    if not found and len(named.removeprefix("sha256:")) >= 8:
        found = [key for key in trust.keys if key.id.removeprefix("sha256:").startswith(named.removeprefix("sha256:"))]
    if len(found) != 1:
        what = "no key of this name or id" if not found else f"{len(found)} keys of this name"
        raise RecordError(f"the trust file has {what}", where=named[:100], mend="name it by its id: signoff trust show")
    return found[0]


def add_key(trust: Trust, key: Key, now: datetime) -> Trust:
    """Return the next trust file, with this key beside the others (rules 1 and 4)."""
    begins = parse_time(key.validFrom)
    if begins < _second(now):
        raise RecordError("lies in the past", where="validFrom", mend="a key is trusted from now or later on")
    if key.compromised is not None:
        raise RecordError("a key that is compromised is not added", where=key.name, mend="make another key")
    if key.validUntil is not None and parse_time(key.validUntil) <= begins:
        raise RecordError("does not lie after validFrom", where="validUntil", mend="write a later end")
    known = trust.key(key.id)
    if known is not None:
        raise RecordError(f"stands in the trust file already, as {known.name}", where=key.id, mend="make a key of its own for each use")
    if any(one.name == key.name for one in trust.keys):
        raise RecordError("another key has this name", where=key.name, mend="give it a name of its own")
    return _next(trust, (*trust.keys, key))


def end_key(trust: Trust, key: Key, at: datetime, now: datetime) -> Trust:
    """Return the next trust file, in which the key ends at a moment (rules 2 and 4)."""
    if key.compromised is not None:
        raise RecordError(f"is compromised from {key.compromised.at} on", where=key.name, mend="it has no further end")
    if key.validUntil is not None and parse_time(key.validUntil) <= now:
        raise RecordError(f"ended at {key.validUntil}", where=key.name, mend=_COMPROMISE)
    if at < _second(now):
        raise RecordError("lies in the past", where="at", mend=f"a key ends now or later; {_COMPROMISE}")
    return _changed(trust, key, "validUntil", at)


def compromise_key(trust: Trust, key: Key, at: datetime, now: datetime) -> Trust:
    """Return the next trust file, in which the key speaks only for what was stored before a moment (rules 3 and 4)."""
    if at > now:
        raise RecordError("has not come", where="at", mend="write the earliest moment at which somebody else may have had the key")
    if key.compromised is not None and at >= parse_time(key.compromised.at):
        raise RecordError(f"is compromised from {key.compromised.at} on", where=key.name, mend="only an earlier moment changes anything")
    if at < parse_time(key.validFrom):
        raise RecordError("lies before the key's beginning", where="at", mend=f"write {key.validFrom}: then it speaks for nothing")
    return _changed(trust, key, "compromised", at)


def beside(trust: Trust, key: Key) -> tuple[Key, ...]:
    """Return the keys of the same use and cluster whose validity overlaps this key's (rule 5)."""
    begins, ends = parse_time(key.validFrom), _end(key)
    return tuple(
        one for one in trust.keys if one.id != key.id and (one.use, one.cluster) == (key.use, key.cluster) and _overlap(one, begins, ends)
    )


def gap(trust: Trust, key: Key, now: datetime) -> Timestamp | None:
    """Return from when on this key's use and cluster has no valid key, None where one has no end (rule 5)."""
    moment, keys = now, [one for one in trust.keys if (one.use, one.cluster) == (key.use, key.cluster)]
    while True:
        valid = [one for one in keys if parse_time(one.validFrom) <= moment and ((end := _end(one)) is None or end > moment)]
        if not valid:
            return format_time(moment)
        ends = [_end(one) for one in valid]
        if None in ends:
            return None
        moment = max(end for end in ends if end is not None)


def _end(key: Key) -> datetime | None:
    ends = [parse_time(moment) for moment in (key.validUntil, key.compromised and key.compromised.at) if moment]
    return min(ends) if ends else None


def _overlap(key: Key, begins: datetime, ends: datetime | None) -> bool:
    end = _end(key)
    return (end is None or end > begins) and (ends is None or parse_time(key.validFrom) < ends)


def _changed(trust: Trust, key: Key, field: str, at: datetime) -> Trust:
    if field == "validUntil" and at <= parse_time(key.validFrom):
        raise RecordError("does not lie after the key's beginning", where="at", mend=f"write a moment after {key.validFrom}")
    moment = format_time(at)
    changed = _parsed(key, {field: moment if field == "validUntil" else {"at": moment}})
    return _next(trust, tuple(changed if one.id == key.id else one for one in trust.keys))


def _parsed(key: Key, changes: dict[str, Any]) -> Key:
    return parse(Key, dumps({**key.model_dump(mode="json", exclude_none=True), **changes}), key.name)


def add_engine(trust: Trust, issuer: str, subject: str, now: datetime) -> Trust:
    """Return the next trust file, in which this principal decides in tier 3 from now on (rule 5)."""
    if trust.engine(issuer, subject, now) is Answer.YES:
        raise RecordError("is an engine already", where=subject, mend="see: signoff trust show")
    added: dict[str, object] = {"issuer": issuer, "subject": subject, "validFrom": format_time(now)}
    return _with_engines(trust, [*_engines(trust), added])


def end_engine(trust: Trust, issuer: str, subject: str, now: datetime) -> Trust:
    """Return the next trust file, in which this principal decides nothing from now on (rule 5)."""
    if trust.engine(issuer, subject, now) is not Answer.YES:
        raise RecordError("is no engine now", where=subject, mend="see: signoff trust show")
    at = format_time(now)
    engines = _engines(trust)
    for one in engines:
        if (one["issuer"], one["subject"]) == (issuer, subject) and str(one.get("validUntil", "9")) > at:
            one["validUntil"] = at
    return _with_engines(trust, engines)


def add_provider(trust: Trust, provider: IdentityProvider) -> Trust:
    """Return the next trust file, which believes this identity provider too, or further clients and keys of one that it names (rule 6)."""
    known = trust.provider(provider.issuer)
    if known is not None:
        same = ("subjectClaim", "groupsClaim", "groupsPrefix")
        for name in same:
            if getattr(known, name) != getattr(provider, name):
                raise RecordError(
                    f"is {getattr(known, name)} in the trust file", where=name, mend="keep it: what was proven is judged by it"
                )
        if (known.keys is None) != (provider.keys is None):
            raise RecordError("are either listed from the beginning or never", where="keys", mend="see: signoff trust show")
        keys = None if known.keys is None else tuple(dict.fromkeys((*known.keys, *(provider.keys or ()))))
        provider = known.model_copy(update={"clients": tuple(dict.fromkeys((*known.clients, *provider.clients))), "keys": keys})
        if provider == known:
            raise RecordError("stands in the trust file already", where=provider.issuer, mend="see: signoff trust show")
    value: Any = trust.model_dump(mode="json", exclude_none=True)
    others = [one for one in value.get("identityProviders", ()) if one["issuer"] != provider.issuer]
    added = [*others, provider.model_dump(mode="json", exclude_none=True)]
    return parse(Trust, dumps({**value, "version": trust.version + 1, "identityProviders": added}), "trust file")


def _engines(trust: Trust) -> list[dict[str, object]]:
    return [one.model_dump(mode="json", exclude_none=True) for one in trust.policies.engines or ()]


def _with_engines(trust: Trust, engines: list[dict[str, object]]) -> Trust:
    value: Any = trust.model_dump(mode="json", exclude_none=True)
    value["version"] += 1
    value["policies"]["engines"] = engines
    return parse(Trust, dumps(value), "trust file")


def _next(trust: Trust, keys: tuple[Key, ...]) -> Trust:
    value = {**trust.model_dump(mode="json", exclude_none=True), "version": trust.version + 1}
    value["keys"] = [key.model_dump(mode="json", exclude_none=True) for key in keys]
    return parse(Trust, dumps(value), "trust file")


def _second(moment: datetime) -> datetime:
    return parse_time(format_time(moment))
