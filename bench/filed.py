"""A server that serves files from memory, on Starlette with the portal's own server settings: what such bytes cost, at the least."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def app_of(folder: Path) -> Starlette:
    """Return the application that serves the files of a folder by their names, to anybody."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    async def readyz(_: Request) -> Response:
        return Response("ok\n")

    async def file(request: Request) -> Response:
        return Response(files[request.path_params["name"]], media_type="text/html")

    return Starlette(routes=[Route("/readyz", readyz), Route("/{name}", file)])


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(prog="python -m bench.filed", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    uvicorn.run(
        app_of(chosen.folder),
        host=chosen.host,
        port=chosen.port,
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=500,
        ssl_certfile=chosen.certificate,
        ssl_keyfile=chosen.key,
    )


if __name__ == "__main__":
    main()
