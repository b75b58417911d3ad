"""The signed checks that a request brings along: what each measured, of what, and whose rule rested on it.

1. A figure is shown to the letter, with the check that said it.
2. Whether a check counts stands in the route's inputs, where admission derives it again; the desk says it beside the figures.
3. Figures by segment (``NAME in SEGMENT``) stand in a table of segments, beside the same figure of the whole; those of drift (``psi.…`` and
   ``drift.…``, docs/checks.md) in a table of their own. Where segments have hardly a figure in common they stand as all others do.
   The lines drawn at 0.1 and 0.25 are the usual marks of PSI, and decide nothing.
4. The report is named by digest; its bytes lie in the archive beside the explanation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from signoff.desk.content import Block, Cell, Column, Fact, Facts, Figures, Item, Listing, Measures, Prose, Reading, Row, Section, Strip
from signoff.desk.strips import Placed, better, scale_of, strip_of
from signoff.record.check import COUNTS, Check, Opened, opened, standing_input
from signoff.record.freeze import Shown

MARKS: Final = ("0.1", "0.25")
WHOLE: Final = "the whole"
SPARSE: Final = 4
"""How many cells a table of segments has at most for each figure in it."""

_IN: Final = " in "
_PSI: Final = "psi."
_DRIFT: Final = (_PSI, "drift.")


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
    yield from _measured(number, check, digests)
    yield Listing(
        (
            Item("Statement", f"check {number}", bundle.digest),
            *(Item("Artefact", artifact.name, artifact.digest) for artifact in check.candidate.artifacts or ()),
            Item("Report", f"{check.report.mediaType}, {check.report.size:,} bytes", check.report.digest),
            *(Item(data.role.replace("-", " ").capitalize(), f"{data.name} {data.version}", data.digest) for data in check.datasets),
        )
    )


def _measured(number: int, check: Check, digests: tuple[str, ...]) -> Iterator[Block]:
    """Yield what a check measured: of the whole, of drift, by segment."""
    figures = {one.name: one.value for one in check.measured}
    parts = _parts(figures)
    drift = [name for name in figures if name not in parts and name.startswith(_DRIFT)]
    whole = [name for name in figures if name not in parts and name not in drift]
    if whole:
        source, mark = f"check {number}", f"k{number}"
        rows = tuple(Row(name, (Cell(figures[name], source, mark),), _beside(name, figures), better(name)) for name in whole)
        yield Figures((Column(f"Check {number}", check.tool, check.candidate.version),), rows, digests)
    if drift:
        yield _drift(number, {name: figures[name] for name in drift})
    if parts:
        yield _segments(number, parts, figures)


def _parts(figures: Iterable[str]) -> list[str]:
    """Return the figures of segments; none where they make no table, so that a page does not grow with what a check does not say."""
    parts = [name.partition(_IN) for name in figures if _IN in name]
    cells = len({name for name, _, _ in parts}) * len({segment for _, _, segment in parts})
    return ["".join(part) for part in parts] if cells <= SPARSE * len(parts) else []


def _beside(name: str, figures: Mapping[str, str]) -> Strip | None:
    """Return the strip of a figure beside the incumbent's of that name, where the check has both."""
    other = figures.get(f"{name}.incumbent")
    return strip_of(name, (("incumbent", other), ("candidate", figures[name]))) if other is not None else None


def _drift(number: int, figures: Mapping[str, str]) -> Measures:
    scale = scale_of(("0", *(value for name, value in figures.items() if name.startswith(_PSI))), MARKS)
    rows = tuple(
        (name, (Reading(value, strip_of(name, (("candidate", value),), scale) if name.startswith(_PSI) else None),))
        for name, value in figures.items()
    )
    key = f"PSI is drawn from 0 on, all on one scale; the lines are at {' and '.join(MARKS)}, the usual marks, and decide nothing."
    return Measures(f"Check {number}: drift, how far the data are from those of the reference", "Figure", ("Value",), rows, key)


def _segments(number: int, parts: Sequence[str], figures: Mapping[str, str]) -> Measures:
    names = list(dict.fromkeys(part.partition(_IN)[0] for part in parts))
    segments = list(dict.fromkeys(part.partition(_IN)[2] for part in parts))
    columns = [_column(name, segments, figures) for name in names]
    labels = (WHOLE, *segments)
    rows = tuple((label, tuple(column[row] for column in columns)) for row, label in enumerate(labels))
    key = "Drawn on one scale for each column; the line is the figure of the whole."
    return Measures(f"Check {number}: by segment", "Segment", tuple(names), rows, key)


def _column(name: str, segments: Sequence[str], figures: Mapping[str, str]) -> list[Reading | None]:
    """Return one figure's column: of the whole, and of each segment, drawn on one scale."""
    whole = figures.get(name)
    values = [figures.get(f"{name}{_IN}{segment}") for segment in segments]
    scale = scale_of([value for value in values if value is not None], (whole,) if whole is not None else ())

    def reading(segment: str, value: str | None) -> Reading | None:
        placed: tuple[Placed, ...] = (("candidate", value),) if value is not None else ()
        return Reading(value, strip_of(f"{name} of {segment}", placed, scale)) if value is not None else None

    return [Reading(whole) if whole is not None else None, *map(reading, segments, values)]
