"""The signed checks that a request brings along: what each measured, of what, and whose rule rested on it.

1. A figure is shown to the letter, with the check that said it.
2. Whether a check counts stands in the route's inputs, where admission derives it again; the desk says it beside the figures.
3. The report is named by digest; its bytes lie in the archive beside the explanation.
"""

from __future__ import annotations

from collections.abc import Iterator

from signoff.desk.content import Block, Cell, Column, Fact, Facts, Figures, Item, Listing, Prose, Row, Section
from signoff.record.check import COUNTS, Opened, opened, standing_input
from signoff.record.freeze import Shown


def checks_section(shown: Shown) -> tuple[Section, ...]:
    """Return the section of the checks; none where the request brings none along."""
    brought = opened(shown.request.spec)
    if not brought:
        return ()
    words = "What an automated check measured and signed. It says figures, and no verdict; which of them matter the policy's rules say."
    blocks: list[Block] = [Prose((words,))]
    for number, one in enumerate(brought, 1):
        blocks += _check(shown, number, one, tuple(each.bundle.digest for each in brought))
    return (Section("checks", "Checks brought along", tuple(blocks)),)


def checks_sentence(shown: Shown) -> tuple[str, ...]:
    """Return how many checks stand beside the comparison, in words; nothing where there is none."""
    brought = opened(shown.request.spec)
    if not brought:
        return ()
    good = sum(_standing(shown, one) == COUNTS for one in brought)
    told = {0: "none of them counts", len(brought): "all of them count"}.get(good, f"{good} of them count")
    if len(brought) == 1:
        told = "it counts" if good else f"it does not count: {_standing(shown, brought[0])}"
    count = "one check" if len(brought) == 1 else f"{len(brought)} checks"
    return (f"The request brings along {count}, whose figures stand below the comparison; {told}.",)


def _standing(shown: Shown, one: Opened) -> str:
    return shown.route.inputs.get(standing_input(one.bundle.digest), "the record does not say")


def _check(shown: Shown, number: int, one: Opened, digests: tuple[str, ...]) -> Iterator[Block]:
    bundle, check, standing = one.bundle, one.check, _standing(shown, one)
    against = check.incumbent
    resting = (name for name, value in sorted(shown.route.inputs.items()) if value == bundle.digest and name.startswith("check of "))
    rested = tuple(name.removeprefix("check of ") for name in resting)
    yield Facts(
        (
            Fact(f"Check {number}", (check.tool,), f"measured {check.time[:10]} {check.time[11:19]} UTC by the checker's own clock"),
            Fact("Candidate", (f"{check.candidate.name} {check.candidate.version}", check.candidate.digest), exact=True),
            Fact("Against", (f"version {against.version}", against.digest) if against else ("nothing",), exact=against is not None),
            Fact(
                "Counts",
                ("yes" if standing == COUNTS else f"NO: {standing}",),
                "by its signature, candidate, incumbent and data",
            ),
            Fact("Rules on it", rested or ("none: no rule's answer rests on this check",)),
            Fact("Names the key" if standing != COUNTS else "Signed under", (bundle.key_id,), exact=True),
        )
    )
    rows = tuple(Row(figure.name, (Cell(figure.value, f"check {number}", f"k{number}"),)) for figure in check.measured)
    yield Figures((Column(f"Check {number}", check.tool, check.candidate.version),), rows, digests)
    yield Listing(
        (
            Item("Statement", f"check {number}", bundle.digest),
            *(Item("Artefact", artifact.name, artifact.digest) for artifact in check.candidate.artifacts or ()),
            Item("Report", f"{check.report.mediaType}, {check.report.size:,} bytes", check.report.digest),
            *(Item(data.role.replace("-", " ").capitalize(), f"{data.name} {data.version}", data.digest) for data in check.datasets),
        )
    )
