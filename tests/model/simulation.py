"""One cluster and its processes: the real door, two replicas of the real operator, what the real engine decides, the real gate, over a
simulated API server.

A process is made anew by `restart`: what it held in memory is lost. Two operators are two processes, so that the lock within one does not
hold the other up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import Any, cast

from signoff.config import ExplanationSettings
from signoff.engine.decide import awaits, press
from signoff.errors import SignoffError
from signoff.gate.lookup import look_up
from signoff.gate.memory import Memory
from signoff.operator import reconcile as room
from signoff.operator.reconcile import Operator
from signoff.operator.run import Queue
from signoff.record.canonical import dumps
from signoff.record.values import Digest, parse
from signoff.verify.reader import Reader
from signoff.webhook.gate import Gate
from signoff.webhook.review import Reply, read_review
from signoff.webhook.witness import Witness
from tests.model import bank
from tests.model.apiserver import ApiServer, OperatorsCluster, WebhooksCluster
from tests.model.archive import Archive, Reached
from tests.webhook.reviews import pod, review

CLUSTER = "demo"
PENDING = 1000
_EXPLANATIONS = parse(ExplanationSettings, dumps({}), "explanations")


class Simulation:
    """What runs, and how it is asked."""

    def __init__(self, archive: Archive, keyring: bank.Keyring, reported: Callable[[Any, Any], None]) -> None:
        self.archive = archive
        self.keyring = keyring
        self._reported = reported
        self.api = ApiServer(lambda: self._witness, self.restart_door)
        self.restart()

    def restart(self) -> None:
        """Start every process anew, under the trust file as it is now."""
        self._trust = self.keyring.trust()
        self.restart_door()
        self.restart_gate()
        self.restart_engine()
        self._operators = [self._operator() for _ in range(2)]

    def restart_door(self) -> None:
        cluster: Any = WebhooksCluster(self.api, bank.LABELS, bank.MAY_APPROVE, bank.MAY_CORRECT, bank.WAYS)
        store = Reached(self.archive)
        signer, now = self.keyring.signer("seal"), self.archive.clock.now
        self._witness = Witness(
            CLUSTER, cluster, store, Reader(store, self._trust), signer, bank.issuers(), now, PENDING, revoked=self._revoked
        )

    def _revoked(self, event: Digest, words: str) -> None:
        self._gate.memory.revoke(event, words)

    def restart_gate(self) -> None:
        cluster: Any = WebhooksCluster(self.api, bank.LABELS, bank.MAY_APPROVE, bank.MAY_CORRECT, bank.WAYS)
        reader = self.reader()
        clock = self.archive.clock
        memory = Memory(lambda key: look_up(reader, key, CLUSTER, clock.now()), clock.monotonic)
        self._gate = Gate(CLUSTER, cluster, reader, memory, (), self.archive.clock.now)

    def restart_engine(self) -> None:
        self._engine = self.reader()

    def restart_operator(self, number: int) -> None:
        self._operators[number] = self._operator()

    def reader(self) -> Reader:
        """A reader that remembers nothing yet."""
        return Reader(Reached(self.archive), self._trust)

    def look(self, number: int, name: str) -> None:
        """Have an operator look at a promotion as its queue would, and report."""
        own, shared = Lock(), room._ONE_AT_A_TIME
        cast("Any", room)._ONE_AT_A_TIME = own
        try:
            Queue(self._operators[number], resync=30.0)._look(("credit", name))
        finally:
            cast("Any", room)._ONE_AT_A_TIME = shared

    def what_the_engine_makes(self, name: str) -> bank.Value | None:
        """Return the PromotionDecision that the engine would create on a promotion, None where it leaves it alone."""
        promotion = self.api.get("modelpromotions", "credit", name)
        if promotion is None or not awaits(promotion):
            return None
        try:
            return press(self._engine, CLUSTER, promotion, self.archive.clock.now()).manifest
        except SignoffError:
            return None

    def deploy(self, digest: str, namespace: str) -> Reply:
        """Ask the gate for a Pod that runs an image."""
        asked = review(pod(f"registry.bank.example/models/credit@{digest}", namespace=namespace), "pods")
        return asyncio.run(self._gate.review(read_review(dumps(asked)), "enforce"))

    def _operator(self) -> Operator:
        cluster: Any = OperatorsCluster(self.api, self._reported)
        signer, now = self.keyring.signer("event"), self.archive.clock.now
        return Operator(CLUSTER, cluster, Reached(self.archive), self.reader(), signer, _EXPLANATIONS, now)
