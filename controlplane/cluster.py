"""`ControlPlane`: a Kubernetes control plane for as long as a `with` block lasts.

Rules:

1. Every start is a new cluster: new authorities, new ports, an empty etcd. A work folder serves one at a time.
2. On the way in: etcd, the API server, then the rest; the block begins when a Pod could run.
3. On the way out, by whatever door (end of block, exception, Ctrl-C, SIGTERM): clients first, then the API server, then etcd, for
   without etcd the API server does not end. Each is killed if it does not end within the grace.
4. The installer alone is in `system:masters`; everybody else has what RBAC gives them.
5. A temporary work folder is removed afterwards, and kept for its logs when the block ended with an error.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from controlplane import components, configuration
from controlplane.binaries import resolve
from controlplane.components import Plan
from controlplane.errors import ComponentError, ControlPlaneError
from controlplane.lifetime import held_folder, sigterm_as_interrupt, temporary_folder
from controlplane.processes import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from controlplane.processes import Component

INSTALLER = "installer"
MASTERS = "system:masters"
NODE = "node-1"
MANIFESTS = Path(__file__).parent / "manifests"
READY_SECONDS = 90.0
COMMAND_SECONDS = 120.0


class ControlPlane:
    """etcd, API server, controller manager, scheduler and kwok on loopback ports; see the module's rules."""

    def __init__(self, work: Path | None = None) -> None:
        """`work`: folder for keys, kubeconfigs, data and logs; a temporary one if None."""
        self._given = work
        self._plan: Plan | None = None
        self._components: dict[str, Component] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        for name in (*components.STARTED_BINARIES, "kubectl"):
            resolve(name)
        try:
            self._begin()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._exit.__exit__(kind, value, trace)

    def end(self) -> None:
        """End every component, for good: what etcd held is nobody's any more."""
        self._exit.close()

    # What there is

    @property
    def work(self) -> Path:
        """The work folder."""
        return self._running_plan.folder

    @property
    def logs(self) -> Path:
        """The folder of the components' logs, one `<component>.log` each."""
        return self._running_plan.logs

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._running_plan.server

    @property
    def cluster_ca_path(self) -> Path:
        """The authority of the API server's serving certificate and of all client certificates."""
        return self._running_plan.cluster.path

    @property
    def webhook_client_ca(self) -> Path:
        """The authority behind the client certificate that the API server shows to webhooks; it signed nothing else."""
        return self._running_plan.webhook_client.path

    @property
    def serving_ca_path(self) -> Path:
        """The authority of `serving_certificate`, for a webhook's `caBundle`."""
        return self._running_plan.webhook_serving.path

    def serving_certificate(self, hosts: Sequence[str]) -> tuple[Path, Path]:
        """A serving certificate for a webhook on `hosts` (DNS names, IP addresses): paths of certificate and key."""
        files = self._running_plan.webhook_serving.serving(hosts[0], hosts)
        return files.certificate, files.key

    # Who somebody is

    def installer_kubeconfig(self) -> Path:
        """The kubeconfig of the only identity in `system:masters`: for installing, not for acting in a test."""
        return self._running_plan.folder / "kubeconfigs" / "installer.yaml"

    def kubeconfig_for(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for the user `name` in `groups`, by client certificate. Raises ControlPlaneError for `system:masters`."""
        if MASTERS in groups:
            raise ControlPlaneError(f"{name}: {MASTERS} is the installer's alone; grant {name} a role through RBAC")
        return self._running_plan.kubeconfig(name, groups)

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, seconds: int = 24 * 3600) -> Path:
        """A kubeconfig for a ServiceAccount that exists, with a token of `seconds` by TokenRequest."""
        answer = self.kubectl("create", "token", name, "--namespace", namespace, f"--duration={seconds}s")
        user = f"system:serviceaccount:{namespace}:{name}"
        path = self.work / "kubeconfigs" / f"{namespace}.{name}.token.yaml"
        return configuration.token_kubeconfig(path, self.server, self.cluster_ca_path, user, answer.stdout.strip())

    # What one can run against it

    def kubectl(
        self,
        *args: str,
        kubeconfig: Path | None = None,
        check: bool = True,
        input: str | None = None,  # noqa: A002  (the name that subprocess gives it)
        timeout: float = COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the installer unless `kubeconfig` says otherwise; `input` goes to its standard input.

        Raises ControlPlaneError with kubectl's own words if it fails and `check` is set.
        """
        kubeconfig = kubeconfig or self.installer_kubeconfig()
        command = [str(resolve("kubectl")), f"--kubeconfig={kubeconfig}", f"--cache-dir={self.work / 'kubectl-cache'}", *args]
        return run(command, {"KUBERC": "off"}, check=check, text=input, timeout=timeout)

    def helm(self, *args: str, check: bool = True, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run the pinned helm as the installer, with its own folders beneath the work folder."""
        folders = {f"HELM_{kind}_HOME": str(self.work / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {"KUBECONFIG": str(self.installer_kubeconfig()), **folders}
        return run([str(resolve("helm")), *args], environment, check=check, text=None, timeout=timeout)

    def install_crds(self, *paths: Path) -> None:
        """Apply CustomResourceDefinitions (files or folders) and wait until the API server serves them."""
        files = [f"--filename={path}" for path in paths]
        self.kubectl("apply", "--server-side", *files)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)

    # What one can do to it

    def stop_etcd(self) -> None:
        """Take the store away from the API server at once; `restart("etcd")` brings it back with its data."""
        self.kill("etcd")

    def kill(self, component: str) -> None:
        """End a component at once, as a crash would."""
        self._component(component).kill()

    def restart(self, component: str) -> None:
        """End a component, if it runs, and start it again with the same data and port; returns when it is well."""
        process = self._component(component)
        if component == "etcd":  # on SIGTERM it would wait for the API server to let go of it
            process.kill()
        process.stop()
        process.start()
        self._wait_until_well(component)
        if component == "etcd" and self._component("kube-apiserver").running:
            self._wait_until_well("kube-apiserver")

    def pid(self, component: str) -> int:
        """A component's process id. Raises ComponentError if it does not run."""
        return self._component(component).pid

    # How it comes up and goes down

    def _begin(self) -> None:
        folder = self._exit.enter_context(held_folder(self._given) if self._given else temporary_folder())
        self._exit.enter_context(sigterm_as_interrupt())
        plan = self._plan = Plan.fresh(folder)
        installer = plan.kubeconfig(INSTALLER, [MASTERS])
        installer.rename(self.installer_kubeconfig())
        self._start(components.etcd)
        self._start(components.api_server)
        self.kubectl("create", f"--filename={MANIFESTS}")
        for component in (components.controller_manager, components.scheduler, components.kwok):
            self._start(component, wait=False)
        for name in self._components:
            self._wait_until_well(name)
        self._wait_for("default ServiceAccount", ("get", "serviceaccount", "default", "--output=json"), lambda _: True)
        self._wait_for("Ready node", ("get", "node", NODE, "--output=json"), _node_takes_pods)

    def _start(self, make: Callable[[Plan], Component], *, wait: bool = True) -> None:
        component = make(self._running_plan)
        self._components[component.name] = component
        self._exit.callback(component.stop)
        component.start()
        if wait:
            self._wait_until_well(component.name)

    def _wait_until_well(self, name: str) -> None:
        url = components.health_urls(self._running_plan).get(name)
        if url:
            components.wait_until_well(self._component(name), url, self.cluster_ca_path, READY_SECONDS)

    def _wait_for(self, what: str, query: tuple[str, ...], satisfied: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            answer = self.kubectl(*query, check=False)
            if answer.returncode == 0 and satisfied(json.loads(answer.stdout)):
                return
            for component in self._components.values():
                ended = component.ended_by_itself()
                if ended:
                    raise ComponentError(ended)
            time.sleep(components.PROBE_SECONDS)
        raise ComponentError(f"no {what} after {READY_SECONDS:.0f} s; see the logs in {self.logs}")

    def _component(self, name: str) -> Component:
        if name not in self._components:
            raise ControlPlaneError(f"no component {name!r}; there are {', '.join(components.STARTED_BINARIES)}")
        return self._components[name]

    @property
    def _running_plan(self) -> Plan:
        if self._plan is None:
            raise ControlPlaneError("the control plane was not started; use it in a `with` block")
        return self._plan


def _node_takes_pods(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node["spec"].get("taints")
