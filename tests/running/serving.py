"""What stands in for an API server that must fail or forget: lists in pages as kube-apiserver gives them, and whatever a test wants."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml
from kubernetes import client

from signoff.running.listing import Listing

Object = dict[str, Any]
GATE = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/signoff-gate"
KINDS = {
    "Pod": ("/api/v1", "pods"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "Job": ("/apis/batch/v1", "jobs"),
}


class Serving:
    """Serves namespaces, the gate's configuration and objects. ``fault`` may answer a path in its own way: a status and a body."""

    def __init__(self) -> None:
        self.namespaces: dict[str, dict[str, str]] = {}
        self.objects: dict[str, list[Object]] = {}
        self.more: dict[str, Object] = {GATE: gate_configuration()}
        self.asked: list[str] = []
        self.accepted: list[str] = []
        self.written: dict[str, Object] = {}
        self.fault: Callable[[str, Mapping[str, list[str]]], tuple[int, Any] | None] = lambda _path, _query: None
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def api(self) -> client.ApiClient:
        settings = client.Configuration(host=self.url)
        settings.retries = False
        return client.ApiClient(settings)

    def listing(self, timeout: float = 5.0) -> Listing:
        return Listing(self.api(), timeout)

    def kubeconfig(self, folder: Path) -> str:
        path = folder / "serving.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def add(self, obj: Object) -> Object:
        """Let an object be listed."""
        root, plural = KINDS[obj["kind"]]
        self.objects.setdefault(f"{root}/namespaces/{obj['metadata']['namespace']}/{plural}", []).append(obj)
        return obj

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        found = self.fault(path, query)
        if found is not None:
            return found
        if path in self.more:
            return 200, self.more[path]
        name = path.removeprefix("/api/v1/namespaces/")
        if name in self.namespaces:
            return 200, {"kind": "Namespace", "metadata": {"name": name, "labels": self.namespaces[name]}}
        if path == "/api/v1/namespaces":
            return 200, page([{"metadata": {"name": one, "labels": labels}} for one, labels in self.namespaces.items()], query)
        if "/namespaces/" in path and path not in self.more and "openreports" not in path:
            return 200, page(self.objects.get(path, []), query)
        return 404, {"kind": "Status", "code": 404}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        serving = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet: apart they wait for each other

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                serving.asked.append(self.path)
                serving.accepted.append(str(self.headers["Accept"]))
                status, value = serving.answer(parts.path, parse_qs(parts.query))
                self._send(status, value)

            def do_PATCH(self) -> None:
                value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = urlsplit(self.path).path
                found = serving.fault(path, {})
                if found is None:
                    serving.written[path] = value
                self._send(*(found or (200, value)))

            def _send(self, status: int, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def page(items: list[Object], query: Mapping[str, list[str]]) -> Object:
    """The page of a list that was asked for; where to go on is the place in the list."""
    start, limit = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
    metadata = {"continue": str(start + limit)} if start + limit < len(items) else {}
    return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start : start + limit]}


def gate_configuration(default: str = "audit") -> Object:
    """The gate's webhooks as the chart registers them, as far as an audit reads them."""
    modes = ["enforce", "warn", "audit"]
    webhooks = []
    for mode in modes:
        key = {"key": "signoff.dev/gate"}
        chosen = (
            {"operator": "NotIn", "values": [one for one in modes if one != mode]}
            if mode == default
            else {"operator": "In", "values": [mode]}
        )
        excluded = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
        webhooks.append({"name": f"{mode}.gate.signoff.dev", "namespaceSelector": {"matchExpressions": [excluded, {**key, **chosen}]}})
    return {"metadata": {"name": "signoff-gate"}, "webhooks": webhooks}


def pod(name: str, *images: str, namespace: str = "credit", owner: tuple[str, str, str] | None = None, **changes: Any) -> Object:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"kind": "Pod", "metadata": _metadata(name, namespace, owner), "spec": {"containers": containers}, "status": {}, **changes}


def deployment(name: str, *images: str, namespace: str = "credit") -> Object:
    return {"kind": "Deployment", "metadata": _metadata(name, namespace, None), "spec": _template(name, images)}


def replica_set(name: str, *images: str, namespace: str = "credit", owner: tuple[str, str, str] | None = None) -> Object:
    return {"kind": "ReplicaSet", "metadata": _metadata(name, namespace, owner), "spec": _template(name, images)}


def _template(name: str, images: tuple[str, ...]) -> Object:
    return {"template": {"spec": pod(name, *images)["spec"]}}


def _metadata(name: str, namespace: str, owner: tuple[str, str, str] | None) -> Object:
    metadata: Object = {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "creationTimestamp": "2026-01-03T10:00:00Z"}
    if owner is not None:
        api_version, kind, above = owner
        owner_reference = {"apiVersion": api_version, "kind": kind, "name": above, "uid": f"uid-of-{above}", "controller": True}
        metadata["ownerReferences"] = [owner_reference]
    return metadata
