"""The stage: people, their commands, and what they see. A command that does not do what the scene tells ends the demo."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from controlplane.bank import Bank
from controlplane.binaries import resolve

ROOT: Final = Path(__file__).parent.parent
_SHOWN_LINES: Final = 60
_LAST_LINES: Final = 6


class SceneError(Exception):
    """Something happened that the scene does not tell."""


class Stage:
    """Runs commands as people of the bank, and shows them as in a terminal."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self._scene = 0
        self._began = time.monotonic()

    def scene(self, title: str, *story: str) -> None:
        """Begin a scene."""
        self._scene += 1
        print(f"\n━━ {self._scene}. {title} {'━' * max(0, 94 - len(title))}", flush=True)
        for paragraph in story:
            print(textwrap.fill(paragraph, 100), flush=True)

    def run(
        self,
        who: str,
        command: str,
        *,
        ends: int = 0,
        says: tuple[str, ...] = (),
        stdin: str | None = None,
        shown: int = _SHOWN_LINES,
        within: float = 90,
    ) -> str:
        """Run a command as somebody, show it, and return what it said. It must end with ``ends`` and say each of ``says``."""
        print(f"\n\033[1m{who.partition('@')[0]}$ {command}\033[0m" if sys.stdout.isatty() else f"\n{who.partition('@')[0]}$ {command}")
        done = subprocess.run(
            self._words(command),
            env=self._environment(who),
            cwd=ROOT,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
        said = done.stdout
        lines = said.rstrip().splitlines()
        cut = max(0, len(lines) - shown)
        head = lines[: shown - _LAST_LINES] if cut else lines
        for line in (*head, *([f"… {cut} lines …", *lines[-_LAST_LINES:]] if cut else ())):
            print(f"  {line}")
        sys.stdout.flush()
        if (done.returncode == 0) != (ends == 0) or (ends and done.returncode != ends):
            raise SceneError(f"it ended with {done.returncode}, but the scene tells {ends}")
        for words in says:
            if words not in " ".join(said.split()):
                raise SceneError(f"it does not say {words!r}")
        return said

    def until(self, what: str, holds: Callable[[], bool], within: float = 60) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                raise SceneError(f"waited {within:.0f} s in vain: {what}")
            time.sleep(0.2)

    def tell(self, text: str) -> None:
        """Say something between the commands."""
        print("\n" + textwrap.fill(text, 100), flush=True)

    def check(self, holds: bool, what: str) -> None:
        """End the demo unless this holds."""
        if not holds:
            raise SceneError(f"it is not so: {what}")
        print(f"  ✓ {what}", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the first scene."""
        return time.monotonic() - self._began

    def _words(self, command: str) -> list[str]:
        return shlex.split(command)

    def _environment(self, who: str) -> dict[str, str]:
        path = os.pathsep.join([str(resolve("kubectl").parent), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return os.environ | self.bank.settings() | {"KUBECONFIG": str(self.bank.kubeconfig(who)), "PATH": path, "COLUMNS": "100"}
