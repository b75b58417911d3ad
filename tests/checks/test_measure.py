from __future__ import annotations

import csv
import io

import pytest
from populations import example, file, predictions
from sklearn.metrics import roc_auc_score

from signoff.checks.errors import BadTable
from signoff.checks.figures import rounded
from signoff.checks.measure import File, Result, measure
from signoff.checks.predictions import Names

USUAL = ["auc", "auc.incumbent", "auc.change", "ks", "ks.incumbent", "brier", "brier.incumbent", "calibration.error", "calibration.slope"]
FEATURES = ["income", "debt_ratio", "utilisation", "months_employed", "enquiries", "product", "region"]


def measured(result: Result) -> dict[str, str]:
    return {one.name: one.value for one in result.figures.measurements()}


def test_a_refresh_gives_every_figure_in_order() -> None:
    result = measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"])
    assert list(measured(result)) == [
        *USUAL,
        "psi.score",
        "drift.ks.score",
        *(f"psi.{name}" for name in FEATURES),
        "psi.max",
        *("schema.added", "schema.removed", "schema.retyped", "rows"),
        *(
            f"{name} in region={region}"
            for region in ("east", "north", "south", "west")
            for name in ("auc", "auc.change", "calibration.error", "rows")
        ),
        "segments.auc.change.worst",
        "segments.calibration.error.worst",
    ]
    assert result.figures.left_out == {}


def test_a_segment_is_its_rows_and_the_worst_is_told() -> None:
    result = measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"])
    said = measured(result)
    rows = [row for row in csv.DictReader(io.StringIO(example()["candidate.csv"].decode())) if row["region"] == "west"]
    area = roc_auc_score([int(row["label"]) for row in rows], [float(row["score"]) for row in rows])
    assert said["auc in region=west"] == f"{rounded(area):f}"
    assert said["rows in region=west"] == str(len(rows))
    changes = [float(value) for name, value in said.items() if name.startswith("auc.change in ")]
    assert float(said["segments.auc.change.worst"]) == min(changes)
    errors = [float(value) for name, value in said.items() if name.startswith("calibration.error in ")]
    assert float(said["segments.calibration.error.worst"]) == max(errors)


def test_a_quiet_refresh_is_quiet_and_a_changed_population_is_not() -> None:
    quiet = measured(measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), []))
    moved = measured(measure(file("drifted.csv"), file("drifted-incumbent.csv"), file("reference.csv"), Names(), []))
    assert float(quiet["psi.max"]) < 0.1
    assert float(quiet["psi.score"]) < 0.1
    assert float(moved["psi.max"]) > 0.25
    assert float(moved["psi.score"]) > 0.25
    assert float(quiet["auc.change"]) > 0


def test_the_order_of_rows_says_nothing() -> None:
    head, *rows = example()["incumbent.csv"].splitlines(keepends=True)
    turned = File("incumbent.csv", b"".join([head, *reversed(rows)]))
    usual = measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"])
    assert measured(measure(file("candidate.csv"), turned, file("reference.csv"), Names(), ["region"])) == measured(usual)


def test_without_scores_the_reference_gives_way_to_the_incumbent() -> None:
    candidate, reference = File("c", predictions()), File("r", b"x\n1\n2\n")
    same = measured(measure(candidate, File("i", predictions()), reference, Names(), []))
    assert (same["psi.score"], same["drift.ks.score"]) == ("0.000000", "0.000000")
    alone = measure(candidate, None, reference, Names(), [])
    assert {"psi.score", "drift.ks.score"} <= set(alone.figures.left_out)
    assert not [name for name in measured(alone) if "incumbent" in name or "change" in name or name == "psi.score"]


def test_columns_that_came_went_and_turned_are_counted() -> None:
    candidate = File("c", predictions(header="id,label,score,x,new,y,z", extra="1,2,three,"))
    result = measure(candidate, None, File("r", b"id,gone,x,y,z,score\n1,1,1,1,1,0.5\n2,2,2,2,2,0.6\n"), Names(), [])
    said = measured(result)
    assert [said[f"schema.{kind}"] for kind in ("added", "removed", "retyped")] == ["1", "1", "1"]
    assert (result.schema.added, result.schema.removed, result.schema.retyped) == (("new",), ("gone",), ("y",))
    assert "psi.y" in result.figures.left_out
    assert "psi.z" in said


def test_one_class_leaves_out_what_it_does_not_give() -> None:
    data = b"id,label,score,x\na,0,0.1,1\nb,0,0.2,2\n"
    result = measure(File("c", data), File("i", data), File("r", b"x\n1\n2\n"), Names(), [])
    left_out = result.figures.left_out
    assert {"auc", "auc.incumbent", "auc.change", "ks", "ks.incumbent", "calibration.slope"} == set(left_out)
    assert left_out["auc"] == "every label is 0"
    assert {"brier", "calibration.error"} <= set(measured(result))


def test_small_segments_are_told_and_not_measured() -> None:
    rows = predictions(149, header="id,label,score,part", extra="large").decode() + "".join(f"s{i},1,0.5,small\n" for i in range(49))
    result = measure(File("c", f"{rows}n,1,0.5,\n".encode()), None, File("r", b"part\nlarge\n"), Names(), ["part"])
    assert result.figures.left_out["all in part=small"] == "it has 49 rows, fewer than 50"
    assert result.figures.left_out["all in part="] == "1 rows have no value there"
    assert not [name for name in measured(result) if "small" in name]
    one = f"{rows}s49,1,0.5,small\n".encode()
    fifty = measure(File("c", one), None, File("r", b"part\nlarge\n"), Names(), ["part"])
    assert measured(fifty)["rows in part=small"] == "50"
    assert fifty.figures.left_out["auc in part=small"] == "every label is 1"


def test_no_segment_at_all_says_so() -> None:
    data = predictions(40, header="id,label,score,part", extra="small")
    result = measure(File("c", data), File("i", data), File("r", b"part\nsmall\n"), Names(), ["part"])
    assert {"segments.auc.change.worst", "segments.calibration.error.worst"} <= set(result.figures.left_out)


def test_nothing_shared_has_no_largest() -> None:
    result = measure(File("c", predictions()), None, File("r", b"other\n1\n"), Names(), [])
    assert result.figures.left_out["psi.max"] == "no feature of the reference could be compared"


SEGMENTS = {
    "too many values": ("part", "v{row}", ["part"], "each would be a segment"),
    "an equals sign": ("a=b", "1", ["a=b"], "a segment's column holds no ="),
    "a value of two lines": ("part", '"a\nb"', ["part"], "is no name of a segment"),
    "a value that acts": ("part", "a\x1b[2J", ["part"], "U+001B"),
    "a long value": ("part", "x" * 65, ["part"], "is no name of a segment"),
    "no such column": ("part", "1", ["branch"], "has no column 'branch'"),
    "the label": ("part", "1", ["label"], "one column is named twice"),
    "twice": ("part", "1", ["part", "part"], "one column is named twice"),
}


@pytest.mark.parametrize("case", SEGMENTS)
def test_a_bad_segment_is_refused(case: str) -> None:
    column, value, asked, told = SEGMENTS[case]
    data = predictions(header=f"id,label,score,{column}", extra=value)
    with pytest.raises(BadTable) as failed:
        measure(File("c", data), None, File("r", b"x\n1\n"), Names(), asked)
    assert told in str(failed.value)


def test_more_than_200_figures_are_refused() -> None:
    names = ",".join(f"f{one}" for one in range(200))
    values = ",".join(["1"] * 200)
    with pytest.raises(BadTable, match="more than the 200 figures that a check may hold"):
        measure(
            File("c", predictions(header=f"id,label,score,{names}", extra=values)),
            None,
            File("r", f"{names}\n{values}\n".encode()),
            Names(),
            [],
        )
