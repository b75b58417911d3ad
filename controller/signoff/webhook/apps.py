"""The two HTTP applications. Each takes an admission review and answers it; whatever happens, the answer is never an admission by mistake.

1. The gate serves ``/gate/enforce``, ``/gate/warn``, ``/gate/audit``; the seal's door ``/seal/…`` and its validating twins ``/check/…``.
   The door is served only to the API server's client certificate.
2. A body that is no review is answered with 400, one beyond 16 MiB with 413 (nothing is read beyond it): the API server takes both for a
   failed call, which the webhook configuration turns into a denial.
3. An error of ours is a denial that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, get_args

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from signoff.errors import SignoffError
from signoff.webhook import decisions, policies, promotions
from signoff.webhook.gate import Gate, Mode
from signoff.webhook.review import MAX_REVIEW, BadReview, Reply, Review, answer, denied, read_review
from signoff.webhook.witness import Witness

LOG: Final = logging.getLogger("signoff.webhook")
_INLINE: Final = 256 * 1024


class _TooLarge(SignoffError):
    """The body has more bytes than a review may have."""


def gate_app(gate: Gate) -> FastAPI:
    """Return the gate's application. It is ready as soon as it is served: an archive out of reach must not take the gate, which answers
    from verified memory within the grace, out of its Service.
    """
    app = _app()

    for mode in get_args(Mode):
        _serve_gate(app, gate, mode)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        return Response("ok\n")

    return app


def _serve_gate(app: FastAPI, gate: Gate, mode: Mode) -> None:
    async def review(request: Request) -> Response:
        return await _answered(request, lambda review: gate.review(review, mode))

    app.post(f"/gate/{mode}")(review)


def door_app(witness: Witness) -> FastAPI:
    """Return the application of the seal's door and its validating twins."""
    app = _app()
    handlers = {
        "/seal/promotions": promotions.seal,
        "/seal/decisions": decisions.seal,
        "/seal/policies": policies.seal,
        "/check/promotions": promotions.check,
        "/check/decisions": decisions.check,
        "/check/policies": policies.check,
    }
    for path, handler in handlers.items():
        _serve(app, path, witness, handler)
    return app


def _serve(app: FastAPI, path: str, witness: Witness, handler: Callable[[Witness, Review], Reply]) -> None:
    async def review(request: Request) -> Response:
        return await _answered(request, lambda review: run_in_threadpool(handler, witness, review))

    app.post(path)(review)


def _app() -> FastAPI:
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None)


async def _answered(request: Request, judge: Callable[[Review], Awaitable[Reply]]) -> Response:
    try:
        body = await _body(request)
        review = read_review(body) if len(body) <= _INLINE else await run_in_threadpool(read_review, body)
    except _TooLarge as error:
        return Response(f"{error}\n", status_code=413, media_type="text/plain")
    except ClientDisconnect:
        return Response(status_code=400)
    except SignoffError as error:
        return Response(f"{error}\n", status_code=400, media_type="text/plain")
    try:
        reply = await judge(review)
    except SignoffError as error:
        reply = denied(error)
    except Exception:  # an error of ours must not become an admission
        LOG.exception("review %s of %s %s/%s failed", review.uid, review.kind, review.namespace, review.name)
        reply = denied(BadReview("signoff failed on this review; nothing was decided", mend="see the webhook's log"))
    if reply.denial is not None:
        LOG.info("denied %s %s/%s: %s", review.kind, review.namespace, review.name, reply.denial)
    return Response(answer(review.uid, reply), media_type="application/json")


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MAX_REVIEW:
        raise _TooLarge(f"a review has at most {MAX_REVIEW} bytes", mend="make the object smaller")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REVIEW:
            raise _TooLarge(f"a review has at most {MAX_REVIEW} bytes", mend="make the object smaller")
    return bytes(body)
