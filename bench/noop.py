"""A webhook that admits everything, on FastAPI with the gate's own server settings: what a webhook in Python costs, at the least."""

from __future__ import annotations

import argparse
import json

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)


@app.get("/readyz")
async def readyz() -> Response:
    """Say that it is ready."""
    return Response("ok\n")


@app.post("/admit")
async def admit(request: Request) -> Response:
    """Admit; the review is parsed for its uid, as every webhook must."""
    review = json.loads(await request.body())
    answer = {"uid": review["request"]["uid"], "allowed": True}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})
    return Response(body, media_type="application/json")


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(prog="python -m bench.noop", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    chosen = parser.parse_args()
    uvicorn.run(
        app,
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        limit_concurrency=1000,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        ssl_certfile=chosen.certificate,
        ssl_keyfile=chosen.key,
    )


if __name__ == "__main__":
    main()
