"""The two HTTP applications. Each takes an admission review and answers it; whatever happens, the answer is never an admission by mistake.

1. The gate serves ``/gate/enforce``, ``/gate/warn``, ``/gate/audit``; the seal's door ``/seal/…`` and its validating twins ``/check/…``.
   The door is served only to the API server's client certificate.
2. A body that is no review is answered with 400, one that is too large, too slow or one too many with 413, 408 or 503 (`bodies`): the API
   server takes all of them for a failed call, which the webhook configuration turns into a denial.
3. An error of ours is a denial that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, get_args

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from signoff.errors import SignoffError
from signoff.gate.readers import Readers
from signoff.webhook import decisions, policies, promotions
from signoff.webhook.bodies import Bodies, Busy, TooLarge, TooSlow, read_body
from signoff.webhook.gate import Gate, Mode
from signoff.webhook.review import BadReview, Reply, Review, answer, denied, read_review
from signoff.webhook.waiting import within
from signoff.webhook.witness import Witness

LOG: Final = logging.getLogger("signoff.webhook")
_INLINE: Final = 256 * 1024
_DOOR_THREADS: Final = 40


_STATUS: Final[dict[type[SignoffError], int]] = {TooLarge: 413, TooSlow: 408, Busy: 503}


def gate_app(gate: Gate) -> FastAPI:
    """Return the gate's application. It is ready as soon as it is served: an archive out of reach must not take the gate, which answers
    from verified memory within the grace, out of its Service.
    """
    app, bodies = _app(), Bodies()

    for mode in get_args(Mode):
        _serve_gate(app, gate, mode, bodies)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        return Response("ok\n")

    return app


def _serve_gate(app: FastAPI, gate: Gate, mode: Mode, bodies: Bodies) -> None:
    async def review(request: Request) -> Response:
        return await _answered(request, bodies, lambda review: gate.review(review, mode))

    app.post(f"/gate/{mode}")(review)


def door_app(witness: Witness) -> FastAPI:
    """Return the application of the seal's door and its validating twins."""
    app, bodies, threads = _app(), Bodies(), Readers(_DOOR_THREADS, waiting=1000)
    handlers = {
        "/seal/promotions": promotions.seal,
        "/seal/decisions": decisions.seal,
        "/seal/policies": policies.seal,
        "/check/promotions": promotions.check,
        "/check/decisions": decisions.check,
        "/check/policies": policies.check,
    }
    for path, handler in handlers.items():
        _serve(app, path, bodies, threads, partial(handler, witness))
    return app


def _serve(app: FastAPI, path: str, bodies: Bodies, threads: Readers, handler: Callable[[Review], Reply]) -> None:
    # In threads that keep no process from ending: what hangs there is not waited for by a SIGTERM. No API server waits longer than 30 s.
    async def review(request: Request) -> Response:
        return await _answered(request, bodies, lambda review: within(30, threads, partial(handler, review), "the archive"))

    app.post(path)(review)


def _app() -> FastAPI:
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None)


async def _answered(request: Request, bodies: Bodies, judge: Callable[[Review], Awaitable[Reply]]) -> Response:
    with bodies.share() as hold:
        try:
            body = await read_body(request, hold)
            review = read_review(body) if len(body) <= _INLINE else await run_in_threadpool(read_review, body)
        except ClientDisconnect:
            return Response(status_code=400)
        except SignoffError as error:
            return Response(f"{error}\n", status_code=_STATUS.get(type(error), 400), media_type="text/plain")
        return Response(answer(review.uid, await _judged(review, judge)), media_type="application/json")


async def _judged(review: Review, judge: Callable[[Review], Awaitable[Reply]]) -> Reply:
    try:
        reply = await judge(review)
    except SignoffError as error:
        reply = denied(error)
    except Exception:  # an error of ours must not become an admission
        LOG.exception("review %s of %s %s/%s failed", review.uid, review.kind, review.namespace, review.name)
        reply = denied(BadReview("signoff failed on this review; nothing was decided", mend="see the webhook's log"))
    if reply.denial is not None:
        told = f"denied {review.kind} {review.namespace}/{review.name}: {reply.denial}"
        LOG.info("%s", "".join(character if character.isprintable() else "?" for character in told))
    return reply
