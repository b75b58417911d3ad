from __future__ import annotations

import numpy as np
import pytest

from signoff.checks import tables
from signoff.checks.errors import BadTable
from signoff.checks.measure import File, measure
from signoff.checks.predictions import Names
from signoff.checks.tables import MAX_COLUMNS, Numbers, Words, read_table

GOOD = b"id,label,score,x\na,0,0.1,1\nb,1,0.9,2\n"

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "f.csv: is empty; give the file that was meant"),
    "a mark and nothing": (b"\xef\xbb\xbf\n", "f.csv: is empty"),
    "no rows": (b"id,label,score\n", "f.csv: has no rows"),
    "no such column": (b"id,label,p\na,0,0.1\n", "f.csv: has no column 'score'; its columns are id, label, p; name the column"),
    "semicolons": (b"id;label;score\na;0;0.1\n", "f.csv: has no column 'id'; its columns are id;label;score"),
    "binary": (bytes(range(256)) * 4, "f.csv: is no text; save it as CSV in UTF-8"),
    "binary without a zero": (b"\xff\xfe\xfd" * 100, "f.csv: is not UTF-8"),
    "utf-16": ("id,label,score\na,0,0.1\n".encode("utf-16"), "f.csv: is no text"),
    "latin-1 below": (GOOD + "ö,1,0.2,Köln\n".encode("latin-1"), "f.csv: is not UTF-8"),
    "latin-1 far below": (GOOD + b"c,1,0.2,x\n" * 20_000 + "ö,1,0.2,Köln\n".encode("latin-1"), "f.csv: is not UTF-8"),
    "a quote in the first line": (b'id,"la"bel,score\na,0,0.1\n', "f.csv: its first line is no line of CSV"),
    "an open quote": (b'id,label,score,x\n"a,0,0.1,1\n', "f.csv: is no CSV"),
    "more fields than names": (b"id,label,score\na,0,0.1,7\nb,1,0.2,7\n", "more fields than its first line names"),
    "more fields in one row": (GOOD + b"c,1,0.2,3,4\n", "f.csv: "),
    "a name twice": (b"id,label,score,x,x\na,0,0.1,1,2\n", "f.csv: two columns are named 'x'; rename one"),
    "an index": (b",id,label,score\n0,a,0,0.1\n", "f.csv: column 1: has no name; name it; an index is left out"),
    "a name that acts": (b"id,label,score,a\x1b[2J\na,0,0.1,1\n", "f.csv: column 4: in its name, the character U+001B"),
    "a name that turns": ("id,label,score,a\u202eb\na,0,0.1,1\n".encode(), "U+202E"),
    "a name of two lines": (b'id,label,score,"a\nb"\na,0,0.1,1\n', "column 4: its name holds a line end"),
    "a long name": (b"id,label,score," + b"x" * 101 + b"\na,0,0.1,1\n", "column 4: its name has 101 characters"),
    "too many columns": (b",".join(b"c%d" % one for one in range(MAX_COLUMNS + 1)) + b"\n", "has 1,001 columns, more than 1,000"),
    "no id": (GOOD + b",1,0.2,3\n", "f.csv: column 'id', row 3: is empty"),
    "an id twice": (GOOD + b"a,1,0.2,3\n", "f.csv: column 'id', row 3: 'a' stands twice; give each case one row"),
    "a label of two": (GOOD + b"c,2,0.2,3\n", "f.csv: column 'label', row 3: 2 is neither 0 nor 1"),
    "a label of words": (GOOD + b"c,yes,0.2,3\n", "column 'label', from row 1: holds 'yes', which is no number"),
    "labels of truth": (b"id,label,score\na,True,0.1\n", "holds 'True', which is no number"),
    "no label": (GOOD + b"c,,0.2,3\n", "column 'label', row 3: nan is neither 0 nor 1"),
    "a score above": (GOOD + b"c,1,1.2,3\n", "f.csv: column 'score', row 3: 1.2 is no probability from 0 to 1"),
    "a score below": (GOOD + b"c,1,-0.1,3\n", "-0.1 is no probability"),
    "no score": (GOOD + b"c,1,,3\n", "column 'score', row 3: nan is no probability"),
    "a score that is none": (GOOD + b"c,1,NaN,3\n", "nan is no probability"),
    "an infinite score": (GOOD + b"c,1,inf,3\n", "inf is no probability"),
    "a decimal comma": (GOOD + b'c,1,"0,5",3\n', "holds '0,5', which is no number"),
    "the largest psi": (b"id,label,score,max\na,0,0.1,1\n", "column 'max': psi.max is the name of another figure"),
    "a segment's psi": (b"id,label,score,x in y=z\na,0,0.1,1\n", "column 'x in y=z': a figure with"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_line(case: str) -> None:
    data, told = BAD[case]
    reference = b"x,max,x in y=z\n1,1,1\n2,2,2\n"
    with pytest.raises(BadTable) as failed:
        measure(File("f.csv", data), None, File("r.csv", reference), Names(), [])
    assert told in str(failed.value)
    assert "\n" not in str(failed.value)
    assert failed.value.mend


BESIDE: dict[str, tuple[bytes, str]] = {
    "a case is missing": (b"id,label,score\na,0,0.1\n", "i.csv: 1 cases of f.csv are missing and 0 others are there, such as 'b'"),
    "a case more": (b"id,label,score\na,0,0.1\nb,1,0.2\nc,1,0.3\n", "0 cases of f.csv are missing and 1 others are there, such as 'c'"),
    "another case": (b"id,label,score\na,0,0.1\nc,1,0.2\n", "1 cases of f.csv are missing and 1 others are there, such as 'b'"),
    "another label": (b"id,label,score\na,0,0.1\nb,0,0.2\n", "i.csv: 1 labels differ from those of f.csv, such as that of 'b'"),
    "an id that is a number": (b"id,label,score\n01,0,0.1\n1,1,0.2\n", "2 cases of f.csv are missing"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_an_incumbent_of_other_cases_is_refused(case: str) -> None:
    data, told = BESIDE[case]
    with pytest.raises(BadTable) as failed:
        measure(File("f.csv", GOOD), File("i.csv", data), File("r.csv", b"x\n1\n"), Names(), [])
    assert told in str(failed.value)


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 1)
    with pytest.raises(BadTable, match="more than 1 rows"):
        read_table(GOOD, "f", words=["id"], needed=[])
    monkeypatch.setattr(tables, "MAX_BYTES", 3)
    with pytest.raises(BadTable, match="more than 3 bytes"):
        read_table(GOOD, "f", words=["id"], needed=[])
    monkeypatch.setattr(tables, "MAX_BYTES", 1 << 30)
    with pytest.raises(BadTable, match="first line is longer"):
        read_table(b"x," * 200_000, "f", words=["id"], needed=[])


def test_values_are_what_was_written() -> None:
    text = "\ufeffid,country,flag,n,gap,none\n01,NA,True,1,1.5,\n1,None,False,2,,\n2,,True,3,NaN,\n".encode()
    table = read_table(text, "f", words=["id"], needed=["id"])
    assert table.rows == 3
    country, flag, ids = table.columns["country"], table.columns["flag"], table.columns["id"]
    assert isinstance(country, Words)
    assert isinstance(flag, Words)
    assert isinstance(ids, Words)
    assert (country.words, list(country.codes)) == (("NA", "None"), [0, 1, -1])
    assert set(flag.words) == {"True", "False"}
    assert ids.words == ("01", "1", "2")
    gap = table.columns["gap"]
    assert isinstance(gap, Numbers)
    assert np.array_equal(gap.values, [1.5, np.nan, np.nan], equal_nan=True)
    assert [table.columns[name].kind for name in ("n", "gap", "none", "flag")] == ["number", "number", "empty", "text"]


def test_a_column_read_as_words_keeps_its_writing() -> None:
    table = read_table(b"id,branch\n1,007\n2,7\n", "f", words=["id", "branch"], needed=[])
    branch = table.columns["branch"]
    assert isinstance(branch, Words)
    assert branch.words == ("007", "7")
