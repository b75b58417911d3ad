"""What a registry says, held to the record's rules. It is a catalogue that many people write: nothing is believed for its form.

1. A figure is a double there and a decimal string in the record: the shortest one that reads back as the same double. What is not finite,
   or needs an exponent of three digits, is no figure. (MLflow keeps an infinity as the largest double.)
2. A name is printable ASCII with single spaces within: no control characters, and no letter that only looks like another (UTS #39).
3. An artefact's path is relative, of plain names, and goes nowhere but down. It holds no ``%``, ``?`` or ``#``, which would make another
   address of it (``%2e%2e`` is ``..`` to whoever fetches it).
"""

from __future__ import annotations

import math
import re
from typing import Final

_NAME: Final = re.compile(r"[!-~]+( [!-~]+)*")
_STEP: Final = re.compile(r"""[!"$&-.0->@-\[\]-~]+( [!"$&-.0->@-\[\]-~]+)*""")  # as a name, without / \ % ? #
_FIGURE: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]{1,2})?")
_LARGEST: Final = math.nextafter(math.inf, 0)
MAX_NAME: Final = 256


def figure(value: float) -> str:
    """Return a double as a decimal string (rule 1); ValueError says why it is none."""
    if math.isnan(value):
        raise ValueError("is not a number (NaN)")
    if abs(value) >= _LARGEST:
        raise ValueError("is infinite" if math.isinf(value) else "is the largest double, as MLflow keeps an infinity")
    if value == 0:
        return "0"
    text = repr(float(value)).removesuffix(".0")
    if not _FIGURE.fullmatch(text):
        raise ValueError(f"is {text}, and an exponent has at most two digits")
    return text


def plain_name(text: str) -> str:
    """Return a name that stands in a registry (rule 2); ValueError says what is wrong with it."""
    if not text:
        raise ValueError("is empty")
    if len(text) > MAX_NAME:
        raise ValueError(f"has {len(text):,} characters, of at most {MAX_NAME}")
    if not _NAME.fullmatch(text):
        stray = next((one for one in text if not " " <= one <= "~"), None)
        what = "has spaces at an end, or two together" if stray is None else f"holds U+{ord(stray):04X}"
        raise ValueError(f"{what}, and names are printable ASCII with single spaces: what looks alike must be alike")
    return text


def plain_path(text: str, below: str = "") -> str:
    """Return an artefact's path (rule 3), which lies below the folder ``below`` if one is given; ValueError says what is wrong with it."""
    plain_name(text)
    if any(step in {".", ".."} or not _STEP.fullmatch(step) for step in text.split("/")):
        raise ValueError("is no relative path of plain names")
    if below and not text.startswith(f"{below}/"):
        raise ValueError(f"does not lie in {below}")
    return text
