"""What a control plane holds while it lives: a work folder, and SIGTERM as a way out.

Rules:

1. A given work folder serves one control plane at a time; what an earlier one left is removed at the start.
2. A temporary work folder is removed afterwards, but kept for its logs when the block ended with an error.
3. SIGTERM unwinds the block as Ctrl-C does, where nobody else handles it: what ends on Ctrl-C, a pytest session too, ends in order.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.errors import ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LEFTOVERS = ("etcd", "pki", "kubeconfigs", "logs")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new work folder for this block alone."""
    folder = Path(tempfile.mkdtemp(prefix="signoff-controlplane-"))
    try:
        yield folder
    except Exception:
        sys.stderr.write(f"the control plane's files are kept in {folder}\n")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def held_folder(given: Path) -> Iterator[Path]:
    """The folder `given`, emptied of an earlier run. Raises ControlPlaneError if another control plane runs there."""
    folder = given.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ControlPlaneError(f"{folder}: another control plane runs there; end it or name another folder") from None
        for leftover in LEFTOVERS:
            shutil.rmtree(folder / leftover, ignore_errors=True)
        yield folder


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the main thread, unless somebody handles it already."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (a signal handler's signature)
    raise KeyboardInterrupt(signal.Signals(number).name)
