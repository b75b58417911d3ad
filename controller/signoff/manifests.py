"""Reading YAML that somebody wrote: manifests and configuration.

1. At most 16 MiB, 5,000 documents, a million nodes, and 200,000 of them in one document; aliases are followed, and what they unfold to is
   bounded; no duplicate keys, no tags but YAML's own.
2. What comes out is JSON: keys are text, a date stays the text that was written, and there are no binaries, sets, infinities or halves of
   characters.
3. A number is read as Kubernetes reads it: 1:30 is text and no number to the base of 60, and an integer has at most 64 bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

import yaml

from signoff.errors import SignoffError
from signoff.record.canonical import Json

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DOCUMENTS: Final = 5_000
MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000
MAX_NODES_EACH: Final = 200_000
MAX_INTEGER: Final = 2**64 - 1
_DIGITS: Final = 80
_SHOWN: Final = 500
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class BadManifest(SignoffError):
    """A file that is not the YAML that was expected."""


class _Loader(yaml.SafeLoader):
    depth = 0
    nodes = 0
    nodes_before = 0

    def compose_document(self) -> yaml.Node | None:
        self.nodes_before = self.nodes
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Counted as they come: a document that is refused only when it is whole has cost what it asked for by then.
        self.nodes += 1
        if self.nodes > MAX_NODES or self.nodes - self.nodes_before > MAX_NODES_EACH:
            raise yaml.YAMLError(f"more than {MAX_NODES_EACH} nodes in a document, or {MAX_NODES} in all; split the file")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, object]:
    result: dict[str, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"{_named(key_node)} is no text; quote it", key_node.start_mark)
        if key in result:
            raise yaml.constructor.ConstructorError(None, None, f"{_named(key_node)} stands twice", key_node.start_mark)
        result[key] = loader.construct_object(value_node, deep=True)
    return result


def _named(key: yaml.Node) -> str:
    # Never the key's value in words: an alias may have made it as large as it likes.
    return f"the key {key.value[:80]!r}" if isinstance(key, yaml.ScalarNode) else "a key"


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    # JSON escapes a character beyond U+FFFF as two halves; YAML would leave them apart.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if _SURROGATE.search(text) else text


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    _require_number(node)
    value = loader.construct_yaml_int(node)
    if abs(value) > MAX_INTEGER:
        raise yaml.constructor.ConstructorError(None, None, "an integer beyond 64 bits; quote it", node.start_mark)
    return int(value)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    _require_number(node)
    return float(loader.construct_yaml_float(node))


def _require_number(node: yaml.ScalarNode) -> None:
    # To the base of 60 a number costs the square of its length, and overflows.
    if len(node.value) > _DIGITS or ":" in node.value:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value[:_DIGITS]!r} is no number; quote it", node.start_mark)


_NO_TYPES: Final = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*:")
_NUMBERS: Final = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


class _Decimal:
    """A pattern of YAML 1.1's numbers that matches none to the base of 60 (rule 3)."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def match(self, text: str) -> re.Match[str] | None:
        return None if _BASE_60.match(text) else self._pattern.match(text)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, _Decimal(pattern) if tag in _NUMBERS else pattern) for tag, pattern in resolvers if tag not in _NO_TYPES]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _require_json(value: object) -> None:
    pending: list[tuple[object, int]] = [(value, 1)]
    count = 0
    while pending:
        item, depth = pending.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise yaml.YAMLError(f"unfolds to more than {MAX_NODES} values, or deeper than {MAX_DEPTH}")
        if isinstance(item, dict):
            pending.extend((key, depth + 1) for key in item)
            pending.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list):
            pending.extend((child, depth + 1) for child in item)
        elif isinstance(item, str):
            if _SURROGATE.search(item):
                raise yaml.YAMLError("half of a surrogate pair is no character")
        elif isinstance(item, float) and not math.isfinite(item):
            raise yaml.YAMLError(f"{item} is no JSON number; quote it")
        elif not (item is None or isinstance(item, bool | int | float)):
            raise yaml.YAMLError(f"a {type(item).__name__} is no JSON value; write text")


def documents(data: bytes, where: str) -> Iterator[Json]:
    """Return the documents of a YAML (or JSON) stream, the empty ones left out; `BadManifest` says where it is none."""
    if len(data) > MAX_BYTES:
        raise BadManifest(f"{len(data)} bytes are more than {MAX_BYTES}", where=where, mend="split the file")
    try:
        text = data.decode("utf-8")
        loader = _Loader(text)
        count = 0
        while loader.check_data():  # type: ignore[no-untyped-call]
            value = loader.get_data()
            count += 1
            if count > MAX_DOCUMENTS:
                raise BadManifest(f"more than {MAX_DOCUMENTS} documents", where=where, mend="split the file")
            if value is not None:
                _require_json(value)
                yield cast("Json", value)
    except UnicodeDecodeError as error:
        raise BadManifest(f"not UTF-8 at byte {error.start}", where=where) from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError) as error:
        # The last four are how the YAML library fails on a tag whose value is not of its kind (!!int "", !!map [1]).
        raise BadManifest(f"not YAML: {' '.join(str(error).split())[:_SHOWN]}", where=where) from None


def one_mapping(data: bytes, where: str) -> Mapping[str, Json]:
    """Return the one document of a file, an object."""
    found = list(documents(data, where))
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise BadManifest("expected one document, an object", where=where)
    return found[0]
