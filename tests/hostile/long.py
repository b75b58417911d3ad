"""The fuzzers again and again, each time by another seed, until the time is over or one fails; the seed is printed before it is used."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

FUZZERS = ["tests/webhook/test_fuzz.py", "tests/hostile", "tests/test_manifests.py", "tests/record", "tests/gate/test_reference.py"]


def main() -> int:
    """Return the exit code of the first run that failed, or 0."""
    options = argparse.ArgumentParser(prog="make fuzz")
    options.add_argument("--minutes", type=float, default=10)
    until = time.monotonic() + 60 * options.parse_args().minutes
    seed = time.time_ns() % 2**32
    while time.monotonic() < until:
        print(f"seed {seed}", flush=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            f"--hypothesis-seed={seed}",
            "-k",
            "any or altered or junk or bytes or value",
        ]
        failed = subprocess.run([*command, *FUZZERS], check=False).returncode
        if failed:
            return failed
        seed = (seed + 1) % 2**32
    return 0


if __name__ == "__main__":
    sys.exit(main())
