"""signoff with a wall clock that is wrong: `python -m controlplane.clock FILE run webhook …`.

FILE holds the seconds by which the process's clock is ahead; it is read each time that the process asks for the time, so that a test may
let a promotion expire, and see what a clock that is wrong by minutes does. Nothing else of the process is changed: what counts seconds
(the gate's freshness) goes on as ever, and so do the clocks of the API server and of the archive.
"""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

CLOCKS: Final = {"webhook": ("signoff.webhook.serve", "_now"), "operator": ("signoff.operator.serve", "now")}


def main(arguments: list[str]) -> int:
    """Run ``signoff`` by a clock that is ahead, and return its exit code."""
    from signoff.cli.program import answer  # noqa: PLC0415 - the process's own import, after its arguments are read

    file, _, what, *_ = arguments
    ahead = Path(file)

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(ahead.read_text()))

    module, name = CLOCKS[what]
    setattr(importlib.import_module(module), name, now)
    return answer(arguments[1:], "signoff")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
