"""The portal as deployed, over TLS: a large desk before many readers, a desk's way until it is frozen, and a click's until it is an event.

1. The desk has ten challengers of 200 figures each and an explanation of 5 MB: a quarter of it tables, a quarter prose, and half pictures,
   which do not compress. It is served by a warm process of the portal's own, whose API server, archive and identity provider are real ones.
2. Beside each answer stands the same number of bytes of a bare server (`filed`), over the same TLS to the same readers, in turns.
3. Paced: each reader asks once in two seconds, which for fifty is a busy morning. At once: each asks again as soon as it was answered, so
   that all fifty wait for two cores; what comes of it is a throughput.
4. Frozen is told beside its fetch: the same file, fetched by the same library from the same server, alone.
5. The click is the form that a browser sends. The provider was asked before: a policy for a fresh login has the person sign in between.
6. The history is of one model, and lies in the same archive. Told apart are the first request, which finds nothing remembered, and others.
"""

from __future__ import annotations

import http.server
import json
import random
import re
import ssl
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from bench.approval import connected, holds, promotion
from bench.archive import Archive, fill
from bench.errors import BenchError
from bench.events import EXAMPLE
from bench.plan import Plan
from bench.processes import Spent, spent
from bench.readers import Sought, read
from bench.rows import Row, medians
from bench.servers import Server
from bench.timing import spread
from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, PAULA, RITA, Bank
from controlplane.idp import EmbeddedProvider
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component
from controlplane.signing_in import Forms
from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.portal.guard import COOKIE
from signoff.record.values import sha256

EVERY: Final = 2.0
_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.01
Told = Callable[[str], None]


@dataclass(frozen=True)
class _Subject:
    name: str
    sought: Sought
    spent: Callable[[], Spent]


def measure(plane: ControlPlane, plan: Plan, work: Path, told: Told) -> list[Row]:
    """Return all rows of the portal."""
    work.mkdir()
    with ExitStack() as held:
        provider = held.enter_context(EmbeddedProvider(work / "provider"))
        reports = work / "reports"
        reports.mkdir()
        source = held.enter_context(_served(plane, reports))
        operator = {"explanations": {"sources": [{"prefix": source, "addresses": ["127.0.0.0/8"]}], "ca": str(plane.serving_ca_path)}}
        bank = held.enter_context(Bank(plane, work / "bank", operator=operator, portal=provider))
        bank.kubectl(PAULA, "apply", "-f", str(EXAMPLE / "policy.yaml"))
        bank.kubectl(BEN, "apply", "-f", str(EXAMPLE / "explanation-configmap.yaml"))
        told("portal: freezing large desks")
        rows, status = _freezes(bank, plan, reports, source)
        told("portal: clicks")
        rows += _clicks(bank, provider, plan)
        told(f"portal: {plan.readers} readers")
        rows += _readings(bank, provider, status, plan, work, told)
        told(f"portal: a history of {plan.history:,} events")
        return rows + _histories(bank, provider, plan)


# --- freezing -------------------------------------------------------------------------------------------------------


def _freezes(bank: Bank, plan: Plan, reports: Path, source: str) -> tuple[list[Row], dict[str, Any]]:
    """Return the rows, and the status of the last desk."""
    took, fetched, status = [], [], dict[str, Any]()
    with connected(bank, BEN) as ben, httpx.Client(verify=_trusting(bank), trust_env=False) as fetching:
        for number in range(plan.desks):
            content = report(plan.explanation, seed=number)
            (reports / f"{number}.html").write_bytes(content)
            manifest = large(f"credit-large-{number}", plan.figures, content, f"{source}{number}.html")
            began = time.monotonic()
            assert fetching.get(f"{source}{number}.html").content == content  # noqa: S101 - else nothing was timed
            fetched.append(time.monotonic() - began)
            began = time.monotonic()
            status = _frozen(ben, manifest)
            took.append(time.monotonic() - began)
    beside = [max(0.0, one - fetch) for one, fetch in zip(took, fetched, strict=True)]
    figures = {"created to frozen": took, "the fetch, alone": fetched, "created to frozen, beside the fetch": beside}
    return [Row("portal", name, spread(seconds), "file") for name, seconds in figures.items()], status


def _frozen(client: httpx.Client, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status once it is frozen, as a watch tells it: who asks again and again would take the API server's time from it."""
    address, name = "/apis/signoff.dev/v1alpha1/namespaces/credit/modelpromotions", manifest["metadata"]["name"]
    made = client.post(address, json=manifest)
    if made.status_code != 201:
        raise BenchError(f"the request was answered with {made.status_code}: {made.text[:500]}")
    version = made.json()["metadata"]["resourceVersion"]
    asked = {"watch": "true", "fieldSelector": f"metadata.name={name}", "resourceVersion": version, "timeoutSeconds": int(_SECONDS)}
    status = dict[str, Any]()
    with client.stream("GET", address, params=asked, timeout=_SECONDS + 5) as told:
        for line in told.iter_lines():
            status = json.loads(line)["object"].get("status", {})
            if "freeze" in status:
                return {**status, "name": name}
    raise BenchError(f"not frozen after {_SECONDS:.0f} s: {status}")


def large(name: str, figures: int, explanation: bytes, url: str) -> dict[str, Any]:
    """Return a request of a desk with ten challengers, each with so many figures."""
    manifest = promotion(name)
    chance = random.Random(name)  # noqa: S311 - figures, no secrets
    spec = manifest["spec"]

    def entry(version: str, digest: str) -> dict[str, Any]:
        metrics = [{"name": f"m{number:03}", "value": f"0.{chance.randrange(10**4):04}"} for number in range(figures)]
        return {"version": version, "digest": digest, "metrics": metrics}

    candidate = spec["comparison"]["candidate"]
    challengers = [{"name": f"challenger-{one}", **entry(f"{one}.0.0", sha256(f"{name} {one}".encode()))} for one in range(10)]
    spec["comparison"] = {"candidate": {**candidate, **entry(candidate["version"], candidate["digest"])}, "challengers": challengers}
    spec["explanation"] = {"mediaType": "text/html", "digest": sha256(explanation), "source": {"url": url}}
    return manifest


def report(size: int, seed: int) -> bytes:
    """Return an explanation of about so many bytes (rule 1); the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - figures, no secrets
    words = [f"{chance.choice('bdfgklmnprst')}{chance.choice('aeiou')}{chance.choice('lmnrst')}{number % 97}" for number in range(2000)]
    pieces, made = ["<!doctype html><title>Report</title>"], 0
    while made < size:
        rows = "".join(f'<tr><th scope="row">segment {chance.randrange(1000)}</th><td>{chance.random():.6f}</td></tr>' for _ in range(200))
        table = f"<table><tbody>{rows}</tbody></table>"
        prose = f"<p>{' '.join(chance.choices(words, k=len(table) // 6))}</p>"
        picture = f'<img alt="A plot" src="data:image/png;base64,{b64encode(chance.randbytes(len(table) * 3 // 2)).decode()}">'
        pieces += [table, prose, picture]
        made += sum(map(len, pieces[-3:]))
    return "\n".join(pieces).encode()


@contextmanager
def _served(plane: ControlPlane, folder: Path) -> Iterator[str]:
    """Serve a folder over https, as a model team's report server does; gives the prefix of its addresses."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*plane.serving_certificate([LOOPBACK]))
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), partial(Quiet, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://{LOOPBACK}:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join(10)


# --- clicking -------------------------------------------------------------------------------------------------------


def _clicks(bank: Bank, provider: EmbeddedProvider, plan: Plan) -> list[Row]:
    names = [f"credit-clicked-{number}" for number in range(plan.approvals)]
    with connected(bank, BEN) as ben:
        statuses = {name: _frozen(ben, promotion(name)) for name in names}
    store = open_store(bank.archive)
    answered, written, told = [], [], []
    with signed_in(bank, provider, CARLA) as carla:
        for name in names:
            desk = f"/desk/credit/{name}"
            form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', carla.get(desk).text))
            began = time.monotonic()
            answer = carla.post(f"{desk}/decision", data={**form, "verdict": "Approve", "comment": ""})
            answered.append(time.monotonic() - began)
            if answer.status_code != 303:
                raise BenchError(f"the click was answered with {answer.status_code}: {answer.text[-500:]}")
            _until(lambda name=name: holds(store, layout.event(statuses[name]["id"])))  # type: ignore[misc]
            written.append(time.monotonic() - began)
            _until(lambda desk=desk: "Approved: the event is in the archive." in carla.get(f"{desk}/receipt").text)  # type: ignore[misc]
            told.append(time.monotonic() - began)
    figures = {"click to answer (the seal is archived)": answered, "click to event": written, "click to receipt": told}
    return [Row("portal", name, spread(seconds), "file") for name, seconds in figures.items()]


def _until(holding: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holding():
        if time.monotonic() > deadline:
            raise BenchError(f"clicked, and {_SECONDS:.0f} s later there is no event")
        time.sleep(_PROBE_SECONDS)


@contextmanager
def signed_in(bank: Bank, provider: EmbeddedProvider, who: str) -> Iterator[httpx.Client]:
    """Somebody's connection to the portal, signed in and kept."""
    with httpx.Client(base_url=bank.portal_url, verify=_trusting(bank), trust_env=False, timeout=60) as client:
        with Forms(provider) as forms:
            back, _ = forms.lead(client.get("/sign-in").headers["location"], who, f"{bank.portal_url}/callback")
        parts = urlsplit(back)
        if client.get(f"{parts.path}?{parts.query}").status_code != 303:
            raise BenchError(f"{who} could not sign in")
        yield client


def _trusting(bank: Bank) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(bank.control_plane.serving_ca_path))


# --- reading --------------------------------------------------------------------------------------------------------


def _readings(bank: Bank, provider: EmbeddedProvider, status: Mapping[str, Any], plan: Plan, work: Path, told: Told) -> list[Row]:
    page, frozen = f"/desk/credit/{status['name']}", f"/desk/credit/{status['name']}/{status['desk']['html']}"
    ca = bank.control_plane.serving_ca_path
    with signed_in(bank, provider, CARLA) as carla:
        folder = work / "files"
        folder.mkdir()
        (folder / "page.html").write_bytes(carla.get(page).content)
        (folder / "desk.html").write_bytes(carla.get(frozen).content)
        seek = partial(Sought, ca=ca, cookie=f"{COOKIE}={carla.cookies[COOKIE]}")
        with _bare(bank.control_plane, folder, work) as bare:
            digest = status["desk"]["html"]
            subjects = [
                _portal(bank, "the desk's page", seek(bank.portal_url + page)),
                _portal(bank, "the frozen desk", seek(bank.portal_url + frozen, encoding="gzip", digest=digest)),
                _portal(bank, "the frozen desk, to whom takes no gzip", seek(bank.portal_url + frozen, digest=digest)),
                _Subject("bare server, as many bytes as the page", Sought(f"{bare.url}page.html", ca), bare.spent),
                _Subject("bare server, as many bytes as the desk", Sought(f"{bare.url}desk.html", ca), bare.spent),
            ]
            return _rounds(subjects, plan, told)


def _portal(bank: Bank, name: str, sought: Sought) -> _Subject:
    return _Subject(name, sought, lambda: spent(bank.pid("portal")))


def _rounds(subjects: list[_Subject], plan: Plan, told: Told) -> list[Row]:
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(plan.rounds):
        for way, every in (("paced", EVERY), ("at once", 0.0)):
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                told(f"portal: round {number + 1} of {plan.rounds}, {way}: {subject.name}")
                figures = read(subject.sought, plan.readers, every, plan.reading_seconds, subject.spent)
                found.setdefault((subject.name, way), []).append(figures)
    ways = sorted(found, key=lambda one: one[1], reverse=True)
    return [Row("portal", name, medians(found[name, way]), way=way, clients=plan.readers) for name, way in ways]


def _bare(plane: ControlPlane, folder: Path, work: Path) -> Server:
    certificate, key = plane.serving_certificate([LOOPBACK, "localhost"])
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.filed", "--host", LOOPBACK, "--port", str(port), "--folder", str(folder)]
    command += ["--certificate", str(certificate), "--key", str(key)]
    return Server(Component("filed", command, work / "filed.log"), port, "/", plane.serving_ca_path)


# --- history --------------------------------------------------------------------------------------------------------


def _histories(bank: Bank, provider: EmbeddedProvider, plan: Plan) -> list[Row]:
    bank.control_plane.kubectl("create", "clusterrolebinding", "auditors", "--clusterrole=signoff-auditor", "--group=model-risk")
    rows = []
    for label, who, reader in (("audited", "an auditor", RITA), ("seen", "whoever sees the namespace", CARLA)):
        # One for each of them: nothing of it is remembered when it is first asked for.
        empty = Archive(bank.archive, str(bank.keys), bank.trust, label, "credit", 0, {})
        archive = fill(empty, plan.history, "small", history=plan.history)
        model = f"/models/{label}-model-0"
        with signed_in(bank, provider, reader) as client:
            for what, path in (("first page", model), ("rejections (none)", f"{model}?what=rejected")):
                first = _timed(client, path)
                again = [_timed(client, path) for _ in range(max(plan.approvals, 3))]
                rows.append(Row("portal", f"history, {what}, {who}, first request", spread([first]), archive.name))
                rows.append(Row("portal", f"history, {what}, {who}", spread(again), archive.name))
    return rows


def _timed(client: httpx.Client, path: str) -> float:
    began = time.monotonic()
    answer = client.get(path)
    if answer.status_code != 200:
        raise BenchError(f"{path} was answered with {answer.status_code}: {answer.text[-500:]}")
    return time.monotonic() - began
