"""Forks webhooks and operators that start in a fraction of a second: their modules are imported already.

A fork is the process that `signoff run` would be: same code, its own process id, ended by a signal like any other. It is told on standard
input what to start ({"what", "config", "log"}, a line each), answers with the process id, and ends what it started when the input ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

import boto3.session
import httpx  # noqa: F401  (what the rooms import when they are first used)
import kubernetes.client

import signoff.archive.s3
import signoff.archive.s3_proof
import signoff.archive.s3_requests
import signoff.operator.serve
import signoff.webhook.serve
from signoff.cli.run import log_lines
from signoff.config import OperatorConfig, WebhookConfig, read_config
from signoff.errors import SignoffError

_DIES_WITH_PARENT = 1


def _become(what: str, config: str, log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    log_lines()
    try:
        if what == "operator":
            signoff.operator.serve.run(read_config(OperatorConfig, Path(config)))
        else:
            signoff.webhook.serve.run(read_config(WebhookConfig, Path(config)))
    except SignoffError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    boto3.session.Session().client("s3", region_name="us-east-1")
    # The client's parts are imported when they are first named.
    for part in ("CustomObjectsApi", "CoreV1Api", "EventsV1Api", "AuthorizationV1Api", "V1SubjectAccessReview"):
        getattr(kubernetes.client, part)
    started = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _become(**json.loads(line))
            finally:
                os._exit(2)
        started.append(pid)
        print(pid, flush=True)
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
