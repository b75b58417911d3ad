"""``python -m demo``: play the scenes. Ends with 0 when every scene came out as told, with 1 at the first that did not."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from controlplane import ControlPlane, ControlPlaneError
from controlplane.bank import BEN, CARLA, Bank
from controlplane.idp import EmbeddedProvider
from controlplane.oidc import Provider
from controlplane.people import PEOPLE
from demo import afterwards, browser, policies, scenes
from demo.stage import SceneError, Stage


def main() -> int:
    """Play the demo."""
    parser = argparse.ArgumentParser(prog="demo", description="signoff's main job in scenes, on a real control plane")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, and say how to use it")
    parser.add_argument(
        "--without-gate", action="store_true", help="delete the gate's webhook configuration beforehand: the first scene must then fail"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="signoff-demo-") as folder:
        try:
            print("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok …", flush=True)
            with ControlPlane(Path(folder) / "control-plane") as plane:
                print("Installing signoff by its chart, and starting its webhook, operator and policy engine …", flush=True)
                with (
                    EmbeddedProvider(Path(folder) / "provider") as provider,
                    Bank(plane, Path(folder) / "bank", engine=True, portal=provider) as bank,
                ):
                    print(f"Ready after {time.monotonic() - began:.0f} s.", flush=True)
                    return _play(bank, plane, provider, Path(folder), arguments)
        except (SceneError, ControlPlaneError) as error:
            print(f"\nThe demo ends here: {error}", file=sys.stderr)
            return 1


def _play(bank: Bank, plane: ControlPlane, provider: Provider, folder: Path, arguments: argparse.Namespace) -> int:
    stage = Stage(bank)
    if arguments.without_gate:
        plane.kubectl("delete", "validatingwebhookconfiguration", "signoff-gate")
    scenes.refused(stage)
    scenes.frozen(stage)
    scenes.author_refused(stage)
    request = scenes.approved(stage)
    scenes.admitted(stage)
    scenes.archive_away(stage)
    scenes.tampered(stage, request)
    scenes.why(stage)
    scenes.desk_again(stage, request)
    policies.committee(stage)
    policies.refreshed(stage)
    browser.decided(stage, provider, policies.drifted(stage))
    afterwards.reclassified(stage)
    afterwards.revoked(stage, request)
    with afterwards.rebuilt(stage, bank, provider, folder, request) as anew:
        print(f"\nEvery scene came out as told, in {stage.elapsed:.0f} s.", flush=True)
        if arguments.keep:
            _keep(anew, anew.control_plane)
    return 0


def _keep(bank: Bank, plane: ControlPlane) -> None:
    print("\nEverything is left running. In another terminal:\n")
    for name, value in bank.settings().items():
        print(f"  export {name}={value}")
    print(f"  export KUBECONFIG={bank.kubeconfig(BEN)}      # Ben, of the credit team")
    print(f"  export KUBECONFIG={bank.kubeconfig(CARLA)}    # Carla, an approver")
    print(f"  export KUBECONFIG={plane.installer_kubeconfig()}    # whoever installs; system:masters")
    print(f"  export PATH={Path(sys.executable).parent}:$PATH     # signoff, kubectl signoff")
    print(f"\nThe portal is at {bank.portal_url}; sign in as {CARLA} with the password {PEOPLE[CARLA].password!r}.")
    print(f"The archive lies in {bank.archive_folder}, the logs in {bank.work} and {plane.logs}.\nCtrl-C ends all of it.", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    raise SystemExit(main())
