"""Mutate the product, one mutation at a time: the histories must notice each, and would otherwise say nothing about it.

Run as ``make mutants``, or with names for some of them. Ends with 1 where a mutation is not noticed.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.model.mutations import MUTATIONS  # noqa: E402

FAILED, TRIES = 1, 3
HISTORIES = 300


def run(name: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", str(Path(__file__).parent)]
    arguments = ["-k", "test_every_history", f"--histories={HISTORIES}", f"--mutant={name}"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    told = [line.removeprefix("E").strip() for line in done.stdout.splitlines() if line.startswith("E ") and "Error" in line]
    return done.returncode, told[0][:160] if told else ""


def survives(name: str) -> bool:
    """Whether the histories still pass with a mutation; random histories are tried a few times over."""
    for _ in range(TRIES):
        code, told = run(name)
        if code == FAILED:
            print(f"{name:<20} noticed: {told}", flush=True)
            return False
    print(f"{name:<20} NOT NOTICED (pytest {code}): {MUTATIONS[name].__doc__}", flush=True)
    return True


def main() -> int:
    names = sys.argv[1:] or list(MUTATIONS)
    with ThreadPoolExecutor(2) as pool:
        survivors = sum(pool.map(survives, names))
    print(f"{len(names) - survivors} mutations noticed, {survivors} not")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
