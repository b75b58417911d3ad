"""The command line: `signoff`, and the same as `kubectl signoff`.

Each command is a file of this room and is imported when it is asked for, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `signoff` with the process's arguments, and end the process."""
    from signoff.cli.program import answer  # noqa: PLC0415

    sys.exit(answer(sys.argv[1:], "signoff"))


def kubectl() -> NoReturn:
    """Run the same as a plugin of kubectl, which finds it by the name `kubectl-signoff`, and end the process."""
    from signoff.cli.program import answer  # noqa: PLC0415

    sys.exit(answer(sys.argv[1:], "kubectl signoff"))
