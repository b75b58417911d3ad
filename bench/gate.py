"""What the gate costs, beside no webhook and two webhooks that admit everything.

1. Every subject is measured in the same run, in rounds: each subject once a round, every other round in the opposite order, so that what
   drifts on the machine drifts for all. Medians over rounds are told.
2. ``api`` goes through the API server, which asks the webhook; ``direct`` sends it the review that the API server would.
3. *warm*: what is asked was asked before. The gate asks its archive again after 10 s (2 s where nothing was promoted), and that is in.
4. *cold*: a digest that this process was never asked about, each time another: promoted ones out of the archive, each once (when they run
   out, the process is started anew), or such as nobody promoted.
5. A webhook that denies must deny each request, one that admits admit each: else there is no figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bench.archive import Archive
from bench.cluster import api_target, pod, review, with_images
from bench.errors import BenchError
from bench.events import digest_of
from bench.load import Round, Target, ask
from bench.plan import Plan
from bench.rows import Row, medians
from bench.servers import Server
from controlplane import ControlPlane

MANY: Final = 20
PLAIN: Final = "bench-none"
GO: Final = "bench-go"
FASTAPI: Final = "bench-fastapi"
FOREIGN: Final = "registry.bank.example/models/unpromoted"
COLD_PER_SECOND: Final = 800
"""More cold requests than are answered in a second are not prepared."""


@dataclass
class Gated:
    """A gate and its archive; ``unasked`` counts how many of its digests its process was not asked about yet."""

    server: Server
    archive: Archive
    next: int = MANY
    strangers: Iterable[int] = field(default_factory=itertools.count)

    def warm(self, containers: int) -> list[str]:
        """Return images that are asked about over and over."""
        return [self.archive.image(number) for number in range(containers)]

    def promoted(self, wanted: int) -> list[list[str]]:
        """Return Pods of promoted images that were never asked about, at most so many; where there are none, starts the gate anew."""
        if self.next >= self.archive.events or (self.archive.events - self.next < wanted and self.next > MANY):
            self.server.restart()
            self.next = MANY
        first, self.next = self.next, min(self.next + wanted, self.archive.events)
        return [[self.archive.image(number)] for number in range(first, self.next)]

    def unpromoted(self, wanted: int) -> list[list[str]]:
        """Return Pods of images that nobody promoted and nobody asked about."""
        return [[f"{FOREIGN}@{digest_of('nobody', number)}"] for number in itertools.islice(iter(self.strangers), wanted)]


@dataclass(frozen=True)
class Subject:
    """What is measured: a name, who is asked and in which namespace, and the images of each Pod of a round.

    ``warm`` are the images that are asked about beforehand where the Pods' own must not be: then each Pod is asked about once.
    """

    name: str
    namespace: str
    server: Server | None
    pods: Callable[[int], list[list[str]]]
    archive: str = ""
    denies: bool = False
    warm: Sequence[str] = ()
    most_clients: int = 1000


def subjects(baselines: tuple[Server, Server], gates: Sequence[Gated]) -> list[Subject]:
    """Return what is measured: everything over the first archive, one container and what is cold over the others."""
    go, fastapi = baselines
    first = gates[0]
    one, many = first.warm(1), first.warm(MANY)
    listed = [
        Subject("no webhook", PLAIN, None, lambda _: [one]),
        Subject("no webhook, 20 containers", PLAIN, None, lambda _: [many]),
        Subject("no-op, Go", GO, go, lambda _: [one]),
        Subject("no-op, FastAPI", FASTAPI, fastapi, lambda _: [one]),
        Subject("no-op, FastAPI, 20 containers", FASTAPI, fastapi, lambda _: [many]),
    ]
    for gated in gates:
        listed += _over(gated, whole=gated is first)
    return listed


def _over(gated: Gated, *, whole: bool) -> list[Subject]:
    subject = partial(Subject, namespace=gated.archive.namespace, server=gated.server, archive=gated.archive.name)
    one, stranger = gated.warm(1), [f"{FOREIGN}@{digest_of('stranger', 0)}"]
    most = 1000 if whole else 8
    listed = [subject("gate, warm", pods=lambda _: [one], most_clients=most)]
    if whole:
        many = gated.warm(MANY)
        listed.append(subject("gate, warm, 20 containers", pods=lambda _: [many]))
        listed.append(subject("gate, warm, denied", pods=lambda _: [stranger], denies=True))
    listed.append(subject("gate, cold", pods=gated.promoted, warm=one, most_clients=most))
    listed.append(subject("gate, cold, denied", pods=gated.unpromoted, warm=one, denies=True, most_clients=most))
    return listed


def measure(plane: ControlPlane, listed: Sequence[Subject], plan: Plan, work: Path, told: Callable[[str], None]) -> list[Row]:
    """Return a row for each subject, way and number of clients."""
    found: dict[tuple[str, str, str, int], list[dict[str, float]]] = {}
    ways: dict[str, _Api | _Direct] = {"api": _Api(plane, work), "direct": _Direct(plane, work)}
    for number in range(plan.rounds):
        for way, clients in itertools.product(ways, plan.clients):
            asked = [one for one in listed if clients <= one.most_clients and (way == "api" or one.server)]
            for subject in asked if number % 2 == 0 else reversed(asked):
                told(f"round {number + 1} of {plan.rounds}, {way}, {clients} clients: {subject.name} {subject.archive}")
                figures = ways[way].ask(subject, clients, plan)
                found.setdefault((subject.name, subject.archive, way, clients), []).append(figures)
    return [Row("gate", name, medians(rounds), archive, way, clients) for (name, archive, way, clients), rounds in found.items()]


class _Api:
    """Through the API server."""

    def __init__(self, plane: ControlPlane, work: Path) -> None:
        self._plane = plane
        self._work = work

    def ask(self, subject: Subject, clients: int, plan: Plan) -> dict[str, float]:
        bodies = [pod(subject.namespace, images) for images in subject.pods(_wanted(plan))]
        warm = [pod(subject.namespace, subject.warm)] if subject.warm else bodies
        target = api_target(self._plane, subject.namespace, self._work)
        return ask(target, bodies, warm, _round(subject, clients, plan), "403" if subject.denies else "201", subject.server, self._work)


class _Direct:
    """Straight to the webhook; what the API server makes of a Pod is asked for once for each number of containers."""

    def __init__(self, plane: ControlPlane, work: Path) -> None:
        self._plane = plane
        self._work = work
        self._templates: dict[int, str] = {}

    def ask(self, subject: Subject, clients: int, plan: Plan) -> dict[str, float]:
        if subject.server is None:
            raise BenchError(f"{subject.name} is asked directly, but there is nobody to ask")
        bodies = [self._review(subject, images) for images in subject.pods(_wanted(plan))]
        warm = [self._review(subject, subject.warm)] if subject.warm else bodies
        target = Target(subject.server.url, subject.server.ca, review=True)
        expected = "denied" if subject.denies else "allowed"
        return ask(target, bodies, warm, _round(subject, clients, plan), expected, subject.server, self._work)

    def _review(self, subject: Subject, images: Sequence[str]) -> str:
        if len(images) not in self._templates:
            # In the namespace without a webhook: no gate is asked, so none has seen these images.
            self._templates[len(images)] = review(self._plane, pod(PLAIN, images))
        return with_images(self._templates[len(images)], subject.namespace, images)


def _wanted(plan: Plan) -> int:
    return max(1, min(plan.cold, int(plan.seconds * COLD_PER_SECOND)))


def _round(subject: Subject, clients: int, plan: Plan) -> Round:
    return Round(clients, plan.seconds, plan.warmups, once=bool(subject.warm))
