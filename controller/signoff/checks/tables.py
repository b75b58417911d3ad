"""Reading CSV (RFC 4180): columns of numbers and columns of words.

1. UTF-8, with or without a byte order mark; commas; the first line names the columns, each once.
2. An empty field and ``NaN`` are missing values. Everything else is a value: ``NA`` may well be Namibia.
3. A column whose every value is a number holds numbers; any other holds words, as written.
4. At most 512 MiB, 5 million rows and 1,000 columns.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signoff.checks.errors import BadTable
from signoff.record.values import readable

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_ROWS: Final = 5_000_000
MAX_COLUMNS: Final = 1_000
MAX_NAME: Final = 100
_MAX_HEADER: Final = 256 * 1024
_MISSING: Final = ["", "NaN", "nan"]
_SAVE: Final = "save it as CSV in UTF-8, with commas"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers; NaN is missing. A column without any value is one of these."""

    values: NDArray[np.float64]

    @property
    def kind(self) -> str:
        """``number``, or ``empty`` where no value is there."""
        return "empty" if bool(np.isnan(self.values).all()) else "number"


@dataclass(frozen=True)
class Words:
    """A column of words: for each row the index of its word, -1 where it is missing."""

    codes: NDArray[np.int64]
    words: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``text``, or ``empty`` where no value is there."""
        return "text" if self.words else "empty"


Column = Numbers | Words


@dataclass(frozen=True)
class Table:
    """A file's columns by name, in its order. ``where`` is the file, for errors."""

    where: str
    rows: int
    columns: Mapping[str, Column]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column that must be there and hold numbers; `BadTable` where it holds anything else."""
        column = self.columns[name]
        if isinstance(column, Words):
            row = int(np.argmax(column.codes >= 0)) + 1
            shown = next((word for word in column.words if not _is_number(word)), column.words[0] if column.words else "")
            raise BadTable(f"holds {shown[:40]!r}, which is no number", f"{self.where}: column {name!r}, from row {row}", "correct it")
        return column.values


def read_table(data: bytes, where: str, *, words: Collection[str], needed: Sequence[str], only: bool = False) -> Table:
    """Return a file's columns; `BadTable` says what is wrong with it.

    ``words`` are read as words whatever they hold, ``needed`` must be there, and with ``only`` no other column is read.
    """
    header = _header(data, where)
    for name in needed:
        if name not in header:
            found = ", ".join(header)
            raise BadTable(f"has no column {name!r}; its columns are {found[:200]}", where, "name the column that is meant, or add it")
    frame = _parsed(data, where, {name: str for name in words if name in header}, list(needed) if only else None)
    if len(frame) == 0:
        raise BadTable("has no rows", where, "give the file that was meant")
    if len(frame) > MAX_ROWS:
        raise BadTable(f"has more than {MAX_ROWS:,} rows", where, "measure a sample of it")
    return Table(where, len(frame), {str(name): _column(frame[name]) for name in frame.columns})


def _header(data: bytes, where: str) -> list[str]:
    if len(data) > MAX_BYTES:
        raise BadTable(f"has more than {MAX_BYTES:,} bytes", where, "measure a sample of it")
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise BadTable("is empty", where, "give the file that was meant")
    if b"\0" in data:
        raise BadTable("is no text", where, _SAVE)
    start = data[:_MAX_HEADER]
    if len(data) > len(start) and b"\n" not in start and b"\r" not in start:
        raise BadTable(f"its first line is longer than {_MAX_HEADER:,} bytes", where, _SAVE)
    try:
        names = next(csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise BadTable(f"is not UTF-8: {error.reason}", where, _SAVE) from None
    except (csv.Error, StopIteration):
        raise BadTable("its first line is no line of CSV", where, _SAVE) from None
    if len(names) > MAX_COLUMNS:
        raise BadTable(f"has {len(names):,} columns, more than {MAX_COLUMNS:,}", where, "leave out what is not to be measured")
    for index, name in enumerate(names):
        _require_name(name, f"{where}: column {index + 1}")
        if name in names[:index]:
            raise BadTable(f"two columns are named {name!r}", where, "rename one of them")
    return names


def _require_name(name: str, where: str) -> None:
    if not name.strip():
        raise BadTable("has no name", where, "name it; an index is left out when the file is written")
    if len(name) > MAX_NAME:
        raise BadTable(f"its name has {len(name):,} characters, more than {MAX_NAME}", where, "rename it")
    if "\n" in name or "\t" in name:
        raise BadTable("its name holds a line end or a tab", where, "rename it")
    try:
        readable(name)
    except ValueError as error:
        raise BadTable(f"in its name, {error}", where, "rename it") from None


def _parsed(data: bytes, where: str, types: Mapping[str, type], only: list[str] | None) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop the fields that a row has too many
            return pd.read_csv(
                io.BytesIO(data),
                encoding="utf-8-sig",
                dtype=dict(types),
                usecols=only,
                index_col=False,
                keep_default_na=False,
                na_values=_MISSING,
                nrows=MAX_ROWS + 1,
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise BadTable(f"is not UTF-8: {error.reason}", where, _SAVE) from None
    except pd.errors.ParserWarning:
        raise BadTable("has rows with more fields than its first line names", where, "quote fields that hold commas") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        said = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise BadTable(f"is no CSV: {said[:200]}", where, _SAVE) from None


def _column(series: pd.Series) -> Column:
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        return Numbers(series.to_numpy(dtype=np.float64))
    codes, found = pd.factorize(series)
    return Words(np.asarray(codes, dtype=np.int64), tuple(str(word) for word in found))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
