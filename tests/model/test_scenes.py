"""Histories that are written down: what random ones come to seldom, of checks and grants above all. They are judged as each is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.model import bank
from tests.model.doing import NOTHING
from tests.model.machine import Histories

Scene = Callable[[Histories], None]


def asked(history: Histories, text: str, check: str = "", version: int = 1) -> tuple[str, str]:
    """Publish, submit and look; returns the promotion's name and its freeze."""
    history._publish("paula", "credit-models", text)
    name = history._submit("ben", "credit-a", version, 1, (check, 0) if check else None)
    history._look(0, name)
    return name, dict(history.frozen()).get(name, NOTHING)


def refreshed(history: Histories) -> str:
    name, _ = asked(history, "weekly", "good")
    history._engine_looks(name)
    history._look(0, name)
    assert history._reason(name) == "Promoted"
    return name


def grantor(by: str, trouble: str = "", text: str = "one") -> Scene:
    """Somebody grants, and a deputy presses."""

    def scene(history: Histories) -> None:
        name, freeze = asked(history, text)
        number = ["gil", "flo", "ben", "erik"].index(by) * 5 if by != "carla" else 1
        history._deputise(name, freeze, number, "erik", trouble, "Approve")
        history._look(0, name)

    return scene


def in_its_place(history: Histories) -> None:
    name, _ = asked(history, "weekly", "good")
    for who in ("mallory", "operator", "carla", "flux"):
        history._press_in_the_engines_place(name, who, "Approve")
    history._look(0, name)
    assert history._reason(name) == "AwaitingDecision"


def in_a_persons_place(history: Histories) -> None:
    name, freeze = asked(history, "weekly", "drifted")
    history._press("engine", name, freeze, "Approve", user=bank.person("engine", "model-approvers"))
    history._look(0, name)


def not_counting(check: str) -> Scene:
    def scene(history: Histories) -> None:
        name, _ = asked(history, "weekly", check)
        history._engine_looks(name)
        assert history._reason(name) == "AwaitingDecision"

    return scene


def stolen(history: Histories) -> None:
    """The checker's key was in other hands when the engine decided: the event counts no more, and the model goes on."""
    history.archive.clock.go_on(3600)
    first = refreshed(history)
    history._end_key("check", "compromised", 60)
    history._look(0, first)
    name, freeze = asked(history, "weekly", version=2)
    history._press("carla", name, freeze, "Approve")
    history._look(0, name)
    assert history._reason(name) == "Promoted"


def ended_before_the_look(history: Histories) -> None:
    name, _ = asked(history, "weekly", "good")
    history._engine_looks(name)
    history._end_key("check", "ended", 0)
    history._look(0, name)
    assert history._reason(name) == "AwaitingDecision"


def scope(history: Histories, to: str, who: str, models: str, tier: str, by: str = "carla") -> None:
    name, freeze = asked(history, "one")
    now = history.archive.clock.now()
    grant = history._grant(by, to, (tier,), models, now, now + timedelta(hours=1))
    history._press(who, name, freeze, "Approve", grant=grant or "")
    history._look(0, name)


def major(history: Histories) -> None:
    """What goes live first is decided in tier 1, and so is what claims to be a major change of it."""
    first, freeze = asked(history, "first")
    for who in ("carla", "uma"):
        history._press(who, first, freeze, "Approve")
    history._look(0, first)
    name = history._submit("ben", "credit-a", 2, 2, None)
    history._look(0, name)
    assert history.in_tier("tier-1") == [(name, dict(history.frozen())[name])]


def revoked(history: Histories) -> None:
    """What runs is revoked: it is refused at once, is live no more, and comes back by a new request alone."""
    first = promoted(history, 1)
    event = next(iter(history.promises.events))
    history._deploy(bank.image_of("credit-a", 1), "credit")
    history._correct("carla", event, "Revoke", "wrong")
    history._correct("rita", event, "Annotate", "wrong")
    history._deploy(bank.image_of("credit-a", 1), "credit")
    history._correct("rita", event, "Revoke", "wrong")
    history._deploy(bank.image_of("credit-a", 1), "credit")
    history._look(0, first)
    assert history._reason(first) == "Revoked"
    history._correct("ben", event, "Revoke", "wrong")  # the same again says nothing new
    history._correct("uma", event, "Revoke", "again")
    name = history._submit("ben", "credit-a", 2, 1, None)
    history._look(0, name)
    history._press("carla", name, dict(history.frozen())[name], "Approve")
    history._look(0, name)
    assert history._reason(name) == "Promoted"


def revocation_altered(history: Histories) -> None:
    """Somebody alters the revocation: the event is none for as long as it lies there so."""
    first = promoted(history, 1)
    event = next(iter(history.promises.events))
    history._correct("rita", event, "Revoke", "wrong")
    [key] = history.promises.corrections
    data = bytearray(history.archive.ledger[key].data)
    data[len(data) // 2] ^= 1
    history.archive.overwrite(key, bytes(data))
    history._audited(key)
    history._restart()
    history._deploy(bank.image_of("credit-a", 1), "credit")
    history._look(0, first)


def remarks_lost(history: Histories) -> None:
    """The archive fails at each operation of a remark in turn: what is told of it is so."""
    promoted(history, 1)
    event = next(iter(history.promises.events))
    for fault in ("answer lost", "goes down"):
        for after in range(12):
            history._correct("rita", event, "Annotate", f"{fault.replace(' ', '-')}-{after}", fault, after)
            history.archive.faults.down = False
    assert history.promises.corrections, "not every one fails before it is written"


def promoted(history: Histories, version: int) -> str:
    name, freeze = asked(history, "one", version=version)
    history._press("carla", name, freeze, "Approve")
    history._look(0, name)
    assert history._reason(name) == "Promoted"
    return name


SCENES: dict[str, Scene] = {
    "revoked": revoked,
    "the revocation is altered": revocation_altered,
    "remarks meet an archive that fails": remarks_lost,
    "a first version, and a major change": major,
    "the engine promotes": lambda history: refreshed(history) and None,
    "in the engine's place": in_its_place,
    "the engine in a person's place": in_a_persons_place,
    **{f"a check that does not count: {one}": not_counting(one) for one in bank.CHECKS[1:]},
    "the checker's key was stolen": stolen,
    "the checker's key ends before the look": ended_before_the_look,
    "a deputy": grantor("carla"),
    "a deputy of one who may not": grantor("gil"),
    "a deputy of who submitted": grantor("ben"),
    "a deputy of who holds no role": lambda history: scope(history, "erik", "erik", "credit-*", "tier-2", by="rita"),
    "the grant has ended": grantor("carla", "ended"),
    "the grant was taken back": grantor("carla", "taken back"),
    "the grant ends after the press": grantor("carla", "ended later"),
    "one word given twice": grantor("carla", "both", "two"),
    "two deputies of one": grantor("carla", "two deputies", "two"),
    "a grant to somebody else": lambda history: scope(history, "david", "erik", "credit-*", "tier-2"),
    "a grant for another model": lambda history: scope(history, "erik", "erik", "credit-b", "tier-2"),
    "a grant for another tier": lambda history: scope(history, "erik", "erik", "credit-*", "tier-1"),
}


@pytest.mark.parametrize("name", SCENES)
def test_every_history_that_is_written_down_keeps_the_promises(name: str) -> None:
    history = Histories()
    try:
        SCENES[name](history)
        history._recover()
    finally:
        history.archive.remove()
