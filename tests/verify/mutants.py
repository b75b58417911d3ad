"""Switch each rule of the verifier off in turn: the tests named after it must fail, and would otherwise say nothing about it.

Run as ``make mutants``. Ends with 1 where a rule can be switched off and no test of its name notices.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from signoff.verify.verifier import PLACE_RULES, RULES, PlaceRule, Rule

HERE = Path(__file__).parent
FAILED, PASSED = 1, 0


def run(*arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", str(HERE), *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def survives(rule: Rule | PlaceRule) -> bool:
    """Whether the tests named after a rule still pass without it."""
    code = run("-k", f"test_rule_{rule.number:02}", f"--switch-off={rule.name}")
    noticed = code == FAILED
    told = "switched off: its tests fail" if noticed else f"NOT NOTICED (pytest {code})"
    print(f"rule {rule.number:>2} {rule.name:<12} {told}", flush=True)
    return not noticed


def main() -> int:
    if run() != PASSED:
        print("the verifier's tests do not pass as they are; mend that first")
        return 1
    with ThreadPoolExecutor(2) as pool:
        survivors = sum(pool.map(survives, (*RULES, *PLACE_RULES)))
    print(f"{len(RULES) + len(PLACE_RULES) - survivors} rules noticed, {survivors} not")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
