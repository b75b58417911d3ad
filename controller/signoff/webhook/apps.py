"""The two HTTP applications. Each takes an admission review and answers it; whatever happens, the answer is never an admission by mistake.

1. The gate serves ``/gate/enforce``, ``/gate/warn``, ``/gate/audit``; the seal's door ``/seal/…`` and its validating twins ``/check/…``.
   The door is served only to the API server's client certificate. So is ``/labels/…`` (the cluster's default), for it names what runs:
   nobody else may obtain that by posting a change of labels.
2. A body that is no review is answered with 400, one that is too large, too slow or one too many with 413, 408 or 503 (`bodies`): the API
   server takes all of them for a failed call, which the webhook configuration turns into a denial.
3. An error of ours is a denial that says so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from signoff.decision.meanings import NOT_KNOWN
from signoff.errors import SignoffError
from signoff.gate.labels import MODES, Mode
from signoff.gate.readers import Readers
from signoff.webhook import corrections, decisions, delegations, passkeys, policies, promotions
from signoff.webhook.bodies import Bodies, Busy, TooLarge, TooSlow, read_body
from signoff.webhook.gate import Gate
from signoff.webhook.metrics import Told, WebhookMetrics
from signoff.webhook.namespaces import Turning
from signoff.webhook.review import BadReview, Reply, Review, answer, denied, read_review
from signoff.webhook.waiting import NotBegun, NotInTime, within
from signoff.webhook.witness import Witness

LOG: Final = logging.getLogger("signoff.webhook")
_INLINE: Final = 256 * 1024
_DOOR_THREADS: Final = 40
_DOOR_SECONDS: Final = 10.0
"""No webhook of the chart is waited for longer by an API server: a press whose sender was told of a failure is not begun after that."""
_STATUS: Final[dict[type[SignoffError], int]] = {TooLarge: 413, TooSlow: 408, Busy: 503}

Judge = Callable[[Review], Awaitable[Reply]]


class Readiness:
    """Whether new reviews should be sent to this process."""

    def __init__(self) -> None:
        self.draining = False


def gate_app(gate: Gate, metrics: WebhookMetrics | None = None, readiness: Readiness | None = None) -> Starlette:
    """Return the gate's application. It is ready as soon as it is served, until it drains: an archive out of reach must not take the gate,
    which answers from verified memory within the grace, out of its Service.
    """
    bodies, told, ready = Bodies(), metrics or WebhookMetrics(), readiness or Readiness()

    async def healthz(_: Request) -> Response:
        return Response("ok\n")

    async def readyz(_: Request) -> Response:
        return Response("draining\n", status_code=503) if ready.draining else Response("ok\n")

    reviews = [_review(f"/gate/{mode}", partial(_judged_by_gate, gate, mode), bodies, told, told.gate(mode)) for mode in MODES]
    return Starlette(routes=[*reviews, Route("/healthz", healthz), Route("/readyz", readyz)])


def _uncounted(_: Reply | Exception, __: float) -> None:
    """Count nothing: what a change of labels is told is no review of a workload."""


async def _judged_by_gate(gate: Gate, mode: Mode, review: Review) -> Reply:
    return await gate.review(review, mode)


def door_app(witness: Witness, metrics: WebhookMetrics | None = None, turning: Turning | None = None) -> Starlette:
    """Return the application of the seal's door and its validating twins, and of what changes of a namespace's labels are told."""
    bodies, told, threads = Bodies(), metrics or WebhookMetrics(), Readers(_DOOR_THREADS, waiting=1000)
    handlers = {
        "/seal/promotions": promotions.seal,
        "/seal/decisions": decisions.seal,
        "/seal/policies": policies.seal,
        "/seal/delegations": delegations.seal,
        "/seal/passkeys": passkeys.seal,
        "/seal/corrections": corrections.seal,
        "/check/promotions": promotions.check,
        "/check/decisions": decisions.check,
        "/check/policies": policies.check,
        "/check/delegations": delegations.check,
        "/check/passkeys": passkeys.check,
        "/check/corrections": corrections.check,
    }
    routes: list[Route] = []
    for path, handler in handlers.items():
        judge = partial(_judged_by_door, threads, partial(handler, witness))
        routes.append(_review(path, judge, bodies, told, told.door(path)))
    if turning is not None:
        turned = {f"/labels/{default}": partial(turning.review, default) for default in (*MODES, "off")}
        routes += [_review(path, judge, bodies, told, _uncounted) for path, judge in turned.items()]
    return Starlette(routes=routes)


async def _judged_by_door(threads: Readers, handler: Callable[[Review], Reply], review: Review) -> Reply:
    # In threads that keep no process from ending: what hangs there is not waited for by a SIGTERM.
    try:
        return await within(_DOOR_SECONDS, threads, partial(handler, review), "the archive")
    except NotBegun:
        raise
    except NotInTime as error:
        # The seal may lie in the archive a moment later.
        raise NotInTime(f"{NOT_KNOWN} done, for {error.what}", mend="it is safe to try again") from error


def _review(path: str, judge: Judge, bodies: Bodies, metrics: WebhookMetrics, told: Told) -> Route:
    async def review(request: Request) -> Response:
        return await _answered(request, bodies, judge, metrics, told)

    return Route(path, review, methods=["POST"])


async def _answered(request: Request, bodies: Bodies, judge: Judge, metrics: WebhookMetrics, told: Told) -> Response:
    with bodies.share() as hold:
        try:
            body = await read_body(request, hold)
            began = time.perf_counter()
            review = read_review(body) if len(body) <= _INLINE else await run_in_threadpool(read_review, body)
        except ClientDisconnect as error:
            metrics.unread(error)
            return Response(status_code=400)
        except SignoffError as error:
            metrics.unread(error)
            return Response(f"{error}\n", status_code=_STATUS.get(type(error), 400), media_type="text/plain")
        result = await _judged(review, judge)
        answered = answer(review.uid, _reply(review, result))
        told(result, time.perf_counter() - began)
        return Response(answered, media_type="application/json")


async def _judged(review: Review, judge: Judge) -> Reply | Exception:
    try:
        return await judge(review)
    except SignoffError as error:
        return error
    except Exception as error:  # an error of ours must not become an admission
        LOG.exception("review %s of %s %s/%s failed", review.uid, review.kind, review.namespace, review.name)
        return error


def _reply(review: Review, result: Reply | Exception) -> Reply:
    if isinstance(result, Reply):
        reply = result
    elif isinstance(result, SignoffError):
        reply = denied(result)
    else:
        reply = denied(BadReview("signoff failed on this review; nothing was decided", mend="see the webhook's log"))
    if reply.denial is not None:
        told = f"denied {review.kind} {review.namespace}/{review.name}: {reply.denial}"
        LOG.info("%s", told if told.isprintable() else "".join(one if one.isprintable() else "?" for one in told))
    return reply
