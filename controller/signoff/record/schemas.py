"""JSON Schemas of the record, for whoever reads it without us: JSON Schema 2020-12, one file for each kind of document.

1. They are made from the models that read the record, and from nothing else: ``make schemas`` writes them.
2. They are closed as the models are: an unknown field anywhere is an error. A field that is absent is left out, never null.
3. They say the form alone. What one field owes to another (a digest to its bytes, a projection to its payload) the verifier's rules say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from signoff.record.canonical import Json
from signoff.record.check import Check
from signoff.record.correction import Correction
from signoff.record.freeze import Freeze
from signoff.record.promotion import Promotion
from signoff.record.request import Spec
from signoff.record.seal import Delegation, Passkey, PublishedPolicy, Seal, Submission
from signoff.record.trust import Trust

BASE: Final = "https://signoff.dev/schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _AsWritten(GenerateJsonSchema):
    """The models as they are written: without null, without defaults, without titles that only repeat a field's name."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Return the schema of what stands there where it is not absent."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema without its default: what is absent stays absent."""
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Return the schema of a map, closed to keys that are not of their form."""
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        """Return that fields bear no title beside their name."""
        return False


DOCUMENTS: Final[Mapping[str, tuple[str, type[BaseModel]]]] = {
    "promotion": ("Predicate of a promotion or a rejection: six fields", Promotion),
    "freeze": ("Payload of a freeze: the request as shown", Freeze),
    "seal": ("Predicate of a seal: one person's decision on one freeze", Seal),
    "submission": ("Predicate of a submission: who asked, and when", Submission),
    "policy": ("Predicate of a published policy: its text, and who published it", PublishedPolicy),
    "delegation": ("Predicate of a delegation: who lets whom decide in their name", Delegation),
    "passkey": ("Predicate of a passkey's registration: whose key it is, and what proves it", Passkey),
    "correction": ("Predicate of a correction: who revoked or annotated which event, and why", Correction),
    "check": ("Predicate of a check: what an automated comparison measured", Check),
    "trust": ("Trust file: which key may sign what, for where, and when", Trust),
    "modelpromotion-spec": ("spec of a ModelPromotion: what is asked", Spec),
}
"""The kinds of documents: by name, their title and the model that reads them."""


def schemas() -> dict[str, dict[str, Json]]:
    """Return each document's JSON Schema by its name, such as ``seal``."""
    return {name: _schema(name, title, model) for name, (title, model) in DOCUMENTS.items()}


def schema_text(schema: Mapping[str, Json]) -> str:
    """Return a schema as it is written to a file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _schema(name: str, title: str, model: type[BaseModel]) -> dict[str, Json]:
    made = cast("dict[str, Json]", model.model_json_schema(mode="validation", schema_generator=_AsWritten))
    return {**made, "$schema": DIALECT, "$id": f"{BASE}/{name}/v1.json", "title": title}
