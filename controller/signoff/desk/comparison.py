"""The comparison: candidate, incumbent and challengers side by side, as their figures were given.

1. A figure is shown to the letter. Nothing is rounded, sorted, coloured or subtracted: which difference matters is the approver's to say.
   Beside each metric that two of them give it is drawn where they stand (`strips`): each metric, so that nobody chooses what is looked at.
2. Each figure says whose word it is: ``claimed`` is the requester's, ``check n`` that of a signed check, named in full below the table.
3. A metric that one of them lacks leaves a visible gap.
4. What the request compares against is held beside what the archive knows as live.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from signoff.desk.content import Cell, Column, Fact, Facts, Figures, Form, Item, Listing, Prose, Row, Section
from signoff.desk.strips import better, strip_of
from signoff.record.freeze import Comparison, ComparisonEntry, LiveIncumbent, Shown
from signoff.record.request import Incumbent

CLAIMED = "claimed"
_FORMS: Final[dict[str, Form]] = {"Candidate": "candidate", "Incumbent": "incumbent"}
_ORDER: Final[tuple[Form, ...]] = ("challenger", "incumbent", "candidate")
Occurrence = tuple[str, int]


def comparison_section(shown: Shown) -> Section:
    """Return the comparison with its sources, who is compared, and the live version as the archive knows it."""
    figures = figures_of(shown.comparison)
    entries = _entries(shown.comparison)
    return Section(
        name="comparison",
        title="Comparison",
        blocks=(
            figures,
            Prose((_legend(figures),)),
            *_checks(figures.checks),
            Listing(tuple(Item(role, f"{entry.name} {entry.version}", entry.digest) for role, entry in entries)),
        ),
    )


def live_section(shown: Shown) -> Section:
    """Return what the archive holds as live, beside what the request names."""
    live, named = shown.live, shown.incumbent
    request = (f"version {named.version}", named.digest) if named else ("no incumbent",)
    archive = (f"version {live.version}", live.digest) if live else ("no live version",)
    proof = (Fact("By its event", (live.event,), exact=True), Fact("Of the request", (live.id,), exact=True)) if live else ()
    facts = (
        Fact("The request names", request),
        Fact("The archive knows", archive, f"{_place(shown)}, when this desk was frozen"),
        *proof,
    )
    return Section("live", "What is live now", (Facts(facts),))


def figures_of(comparison: Comparison) -> Figures:
    """Return the table: metrics as rows, in the order in which they are first given."""
    entries = _entries(comparison)
    checks = tuple(
        dict.fromkeys(figure.source.removeprefix("check:") for _, entry in entries for figure in entry.metrics if figure.source != CLAIMED)
    )
    cells = [_cells(entry, checks) for _, entry in entries]
    metrics = dict.fromkeys(occurrence for column in cells for occurrence in column)
    return Figures(
        columns=tuple(Column(role, entry.name, entry.version) for role, entry in entries),
        rows=tuple(_row(name, [role for role, _ in entries], [column.get((name, nth)) for column in cells]) for name, nth in metrics),
        checks=checks,
    )


def sources_sentence(comparison: Comparison) -> str:
    """Return how many of the figures are the requester's word alone."""
    sources = [figure.source for _, entry in _entries(comparison) for figure in entry.metrics]
    claimed = sources.count(CLAIMED)
    if not sources:
        return "The comparison holds no figures."
    if claimed == len(sources):
        return f"All {claimed} figures are claimed: they are the requester's word, and no signed check stands behind them."
    if claimed == 0:
        return f"All {len(sources)} figures come from signed checks."
    return f"{len(sources) - claimed} of {len(sources)} figures come from signed checks; the other {claimed} are the requester's word."


def live_sentence(named: Incumbent | None, live: LiveIncumbent | None, place: str) -> str:
    """Return how the incumbent that the request names relates to what the archive held as live when the desk was frozen."""
    if live is None:
        known = f"The archive knows no live version of this model {place}."
        return known if named is None else f"{known} The request compares against {named.version} all the same."
    known = f"The archive knows version {live.version} as live {place}"
    if named is None:
        return f"{known}, but the request names no incumbent and compares against none."
    if (named.version, named.digest) == (live.version, live.digest):
        return f"{known}, and the request compares against exactly that."
    if named.version == live.version:
        return f"{known}. The request names the same version under another digest: they are not the same."
    return f"{known}, but the request compares against {named.version}: they are not the same."


def _row(metric: str, roles: Sequence[str], cells: Sequence[Cell | None]) -> Row:
    given = [(_FORMS.get(role, "challenger"), cell.value) for role, cell in zip(roles, cells, strict=True) if cell is not None]
    placed = sorted(given, key=lambda one: _ORDER.index(one[0]))
    return Row(metric, tuple(cells), strip_of(metric, placed), better(metric))


def _checks(checks: Sequence[str]) -> tuple[Listing, ...]:
    items = tuple(Item(f"Check {number}", "a signed check", check) for number, check in enumerate(checks, 1))
    return (Listing(items),) if items else ()


def _place(shown: Shown) -> str:
    return f"in {shown.request.spec.target.environment} on cluster {shown.cluster}"


def _entries(comparison: Comparison) -> Sequence[tuple[str, ComparisonEntry]]:
    several = len(comparison.challengers) > 1
    return (
        ("Candidate", comparison.candidate),
        *((("Incumbent", comparison.incumbent),) if comparison.incumbent else ()),
        *((f"Challenger {n}" if several else "Challenger", entry) for n, entry in enumerate(comparison.challengers, 1)),
    )


def _cells(entry: ComparisonEntry, checks: Sequence[str]) -> dict[Occurrence, Cell]:
    seen: Counter[str] = Counter()
    cells: dict[Occurrence, Cell] = {}
    for figure in entry.metrics:
        if figure.source == CLAIMED:
            source, mark = CLAIMED, "c"
        else:
            number = checks.index(figure.source.removeprefix("check:")) + 1
            source, mark = f"check {number}", f"k{number}"
        # A name that stands twice keeps both its figures: dropping one would hide it.
        cells[figure.name, seen[figure.name]] = Cell(figure.value, source, mark)
        seen[figure.name] += 1
    return cells


def _legend(figures: Figures) -> str:
    words = "Figures stand as they were given; differences are not computed. Claimed: the requester's word."
    if figures.checks:
        words += " Check: measured by a signed check, named below by the digest of its statement."
    ends = [f"{end} for {', '.join(names)}" for end in ("higher is better", "lower is better") if (names := _named(figures, end))]
    return f"{words} By what these names mean anywhere, {'; '.join(ends)}." if ends else words


def _named(figures: Figures, end: str) -> list[str]:
    return list(dict.fromkeys(row.metric for row in figures.rows if row.note == end))
