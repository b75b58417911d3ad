"""A real browser, what leaves it, and what can be read in it: shared by the tests of pages.

What leaves is counted by a listener at the other end, not by what the browser says of itself.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from controlplane.signing_in import ARGUMENTS, CHROMIUM

# Each colour of text with the ground that it stands on.
PAIRS = """() => { const seen = new Set(); const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
              if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
            while (walker.nextNode()) { const e = walker.currentNode.parentElement;
              if (walker.currentNode.data.trim()) seen.add(getComputedStyle(e).color + '|' + ground(e)); } return [...seen]; }"""


@contextmanager
def launched() -> Iterator[Browser]:
    """Give a Chromium, and close it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Listener:
    """Takes every connection to a port of this machine, and remembers what each was sent.

    A connection counts as soon as it is there: a browser opens some in advance and sends nothing on them.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.taken: list[bytes] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.taken.append(b"")
            with connection:
                connection.settimeout(1)
                try:
                    self.taken[-1] = connection.recv(200)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
