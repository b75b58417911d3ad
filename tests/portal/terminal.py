"""The real command at a terminal, which waits for a browser; and the browser, without a screen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from controlplane.bank import Bank
from controlplane.oidc import Provider
from controlplane.signing_in import Forms


class Terminal:
    """``signoff`` as a person, with what it says so far."""

    def __init__(self, bank: Bank, folder: Path, who: str, *arguments: str, typed: str = "", **environment: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        given = os.environ | bank.settings() | {"KUBECONFIG": str(bank.kubeconfig(who))} | environment
        command = [sys.executable, "-m", "signoff", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(command, env=given, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(typed)
        self._process.stdin.close()

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def address(self) -> str:
        """Where it asks the person to sign in."""
        deadline = time.monotonic() + 60
        while (found := re.search(r"^  (https://\S+)$", self.err, re.MULTILINE)) is None:
            assert self._process.poll() is None, f"it ended: {self.err}"
            assert time.monotonic() < deadline, self.err
            time.sleep(0.05)
        return found[1]

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        try:
            return self._process.wait(90)
        finally:
            self._process.kill()


def back_of(address: str) -> str:
    """Where the command listens."""
    return parse_qs(urlsplit(address).query)["redirect_uri"][0]


def led_back(forms: Forms, address: str, who: str) -> tuple[httpx.Response, bool]:
    """Sign in and be led back; return the page at the end, and whether a password was asked for."""
    back, was_asked = forms.lead(address, who, back_of(address))
    return httpx.get(back, trust_env=False), was_asked


def sign_in(provider: Provider, address: str, who: str) -> httpx.Response:
    with Forms(provider) as forms:
        return led_back(forms, address, who)[0]
