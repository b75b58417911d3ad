"""The signed checks that a request brings along: what each measured, of what, and whose rule rested on it.

1. A figure is shown to the letter, with the check that said it.
2. Whether a check counts is not the desk's to say: the route names those on which a rule rested, and why one was passed over.
3. The report is named by digest; its bytes lie in the archive beside the explanation.
"""

from __future__ import annotations

from collections.abc import Iterator

from signoff.desk.content import Block, Cell, Column, Fact, Facts, Figures, Item, Listing, Prose, Row, Section
from signoff.record.bundle import Bundle
from signoff.record.canonical import b64decode
from signoff.record.check import Check, open_check
from signoff.record.freeze import Shown
from signoff.record.values import RecordError


def checks_section(shown: Shown) -> tuple[Section, ...]:
    """Return the section of the checks; none where the request brings none along."""
    opened = list(_opened(shown))
    if not opened:
        return ()
    words = "What an automated check measured and signed. It says figures, and no verdict; which of them matter the policy's rules say."
    blocks: list[Block] = [Prose((words,))]
    for number, (bundle, check) in enumerate(opened, 1):
        blocks += _check(shown, number, bundle, check)
    return (Section("checks", "Signed checks", tuple(blocks)),)


def checks_sentence(shown: Shown) -> tuple[str, ...]:
    """Return how many checks stand beside the comparison, in words; nothing where there is none."""
    count = len(list(_opened(shown)))
    if not count:
        return ()
    one = "A signed check has figures of its own" if count == 1 else f"{count} signed checks have figures of their own"
    return (f"{one}, which stand below the comparison.",)


def _opened(shown: Shown) -> Iterator[tuple[Bundle, Check]]:
    for one in shown.request.spec.checks or ():
        try:
            yield open_check(b64decode(one.bundle, "checks"))
        except RecordError:
            continue  # admission takes none of these in


def _check(shown: Shown, number: int, bundle: Bundle, check: Check) -> Iterator[Block]:
    against = check.incumbent
    rested = [name.removeprefix("check of ") for name, value in sorted(shown.route.inputs.items()) if value == bundle.digest]
    yield Facts(
        (
            Fact(f"Check {number}", (check.tool,), f"measured {check.time[:10]} {check.time[11:19]} UTC by the checker's own clock"),
            Fact("Candidate", (f"{check.candidate.name} {check.candidate.version}", check.candidate.digest), exact=True),
            Fact("Against", (f"version {against.version}", against.digest) if against else ("nothing",), exact=against is not None),
            Fact("Rules on it", tuple(rested) or ("none: no rule rested on this check",)),
            Fact("Signed under", (bundle.key_id,), exact=True),
        )
    )
    rows = tuple(Row(figure.name, (Cell(figure.value, f"check {number}", f"k{number}"),)) for figure in check.measured)
    digests = tuple(one.digest for one, _ in _opened(shown))
    yield Figures((Column(f"Check {number}", check.tool, check.candidate.version),), rows, digests)
    yield Listing(
        (
            Item("Statement", f"check {number}", bundle.digest),
            *(Item("Artefact", artifact.name, artifact.digest) for artifact in check.candidate.artifacts or ()),
            Item("Report", f"{check.report.mediaType}, {check.report.size:,} bytes", check.report.digest),
            *(Item(one.role.replace("-", " ").capitalize(), f"{one.name} {one.version}", one.digest) for one in check.datasets),
        )
    )
