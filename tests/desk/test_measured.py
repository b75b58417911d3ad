"""What a check measured of segments and of drift: in tables of their own, to the letter, in both renditions."""

from __future__ import annotations

import re
import time

from builders import example, shown_of, shown_value
from checking import brought, bundle_of, check_of
from desks import STILL, crowded, hostile_figures, refreshed_promotion

from signoff.desk.checks import checks_section
from signoff.desk.content import Figures, Measures
from signoff.desk.render import render
from signoff.record.freeze import Shown
from signoff.record.values import sha256


def measured(figures: dict[str, str]) -> Shown:
    spec = example("promotion.yaml")["spec"]
    spec["checks"] = [brought(bundle_of(check_of(spec, figures), STILL))]  # type: ignore[index,call-overload,arg-type]
    return shown_of(shown_value(spec))  # type: ignore[arg-type]


def tables(shown: Shown) -> list[Measures]:
    return [block for block in checks_section(shown)[0].blocks if isinstance(block, Measures)]


def whole(shown: Shown) -> list[str]:
    return [row.metric for block in checks_section(shown)[0].blocks if isinstance(block, Figures) for row in block.rows]


def test_rule_3_segments_stand_below_the_whole_on_one_scale_for_each_column() -> None:
    shown = measured({"auc": "0.8", "auc in a": "0.9", "auc in b": "0.7", "rows in b": "40"})
    [table] = tables(shown)
    assert table.columns == ("auc", "rows")
    told = [(label, [cell.figure if cell else None for cell in cells]) for label, cells in table.rows]
    assert told == [("the whole", ["0.8", None]), ("a", ["0.9", None]), ("b", ["0.7", "40"])]
    strips = [cells[0].strip for _, cells in table.rows if cells[0]]
    assert [(one.marks[0].at, one.lines) if one else None for one in strips] == [None, ("95.0%", ("50.0%",)), ("5.0%", ("50.0%",))]
    assert whole(shown) == ["auc"]


def test_rule_3_drift_is_drawn_from_nothing_on_with_the_usual_marks() -> None:
    shown = measured({"psi.income": "0.5", "psi.age": "0.05", "drift.ks.score": "0.3", "auc": "0.8", "psi": "0.2"})
    [table] = tables(shown)
    assert [label for label, _ in table.rows] == ["psi.income", "psi.age", "drift.ks.score"]
    strips = [cells[0].strip for _, cells in table.rows if cells[0]]
    assert [(one.marks[0].at, one.lines) if one else None for one in strips] == [
        ("95.0%", ("23.0%", "50.0%")),
        ("14.0%", ("23.0%", "50.0%")),
        None,  # of another kind than PSI: its marks are not these
    ]
    assert whole(shown) == ["auc", "psi"]


def test_the_incumbents_figure_is_drawn_beside_the_candidates() -> None:
    shown = measured({"auc": "0.8", "auc.incumbent": "0.7", "ks": "0.4"})
    [figures] = [block for block in checks_section(shown)[0].blocks if isinstance(block, Figures)]
    assert [row.strip is not None for row in figures.rows] == [True, False, False]


def test_both_renditions_say_every_figure_of_a_check() -> None:
    shown, explanation = refreshed_promotion()
    for rendition in render(shown, explanation):
        written = rendition.content.decode()
        for figure in ("0.822100", "0.791200", "-0.006100", "0.038000", "0.310000", "30110", "40"):
            assert re.search(rf"(?<![0-9.]){re.escape(figure)}(?![0-9])", written), figure
    assert "region=south              0.791200   -0.006100           0.019000  18060" in render(shown, explanation)[1].content.decode()


def test_rule_3_segments_without_a_figure_in_common_make_no_table() -> None:
    [first, *_] = whole(hostile_figures()[0])
    assert first == "f0 in s0"
    assert len(render(*hostile_figures())[0].content) < 150_000


def test_a_large_desk_is_drawn_within_a_second() -> None:
    """200 metrics, ten challengers, a report of 5 MB: of processor time, the best of three, for the machine does other things too."""
    shown, _ = crowded()
    rows = "".join(f"<tr><td>{number}</td><td>0.8{number}</td></tr>" for number in range(2000))
    report = f"<h1>Why</h1><table>{rows}</table><img alt='' src='data:image/png;base64,{'A' * 4_800_000}'>".encode()
    named = shown.explanation.model_copy(update={"size": len(report), "digest": sha256(report)})
    took: list[float] = []
    for _ in range(3):
        began = time.process_time()
        render(shown.model_copy(update={"explanation": named}), report)
        took.append(time.process_time() - began)
    assert min(took) < 1
    assert len(report) > 4_800_000
