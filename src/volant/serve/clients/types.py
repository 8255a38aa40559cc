"""Schemas of the OpenAPI document as types of a language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Language:
    """How a language writes types: its words for JSON's, a union, a list, a literal, a map."""

    words: Mapping[str, str]
    union: str
    list_of: str
    literal: str
    map_of: str
    anything: str

    def type_of(self, schema: Schema) -> str:
        """The type of what a schema describes; what has no word is anything."""
        if "$ref" in schema:
            return str(schema["$ref"]).rpartition("/")[2]
        if "enum" in schema:
            return self._union([self._constant(value) for value in schema["enum"]])
        for several in ("anyOf", "oneOf"):
            if several in schema and "properties" not in schema:
                return self._union([self.type_of(one) for one in schema[several]])
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return self._union([self.type_of({**schema, "type": kind}) for kind in kinds])
        if kinds == "array":
            return self.list_of.format(self.type_of(schema.get("items", {})))
        if kinds == "object":
            return self.map_of.format(self._value_of(schema))
        return self.words.get(kinds or "", self.anything)

    def _value_of(self, schema: Schema) -> str:
        """The type of an object's values, where all have the same."""
        more = schema.get("additionalProperties")
        values = [*schema.get("properties", {}).values(), *([more] if isinstance(more, Mapping) else [])]
        kinds = {self.type_of(value) for value in values}
        return kinds.pop() if len(kinds) == 1 else self.anything

    def _constant(self, value: Any) -> str:
        return self.words["null"] if value is None else self.literal.format(json.dumps(value, ensure_ascii=False))

    def _union(self, kinds: Sequence[str]) -> str:
        distinct = list(dict.fromkeys(kinds))
        return self.anything if self.anything in distinct else self.union.join(distinct)


PYTHON = Language(
    words={"string": "str", "number": "float", "integer": "int", "boolean": "bool", "null": "None"},
    union=" | ",
    list_of="list[{}]",
    literal="Literal[{}]",
    map_of="dict[str, {}]",
    anything="Any",
)
TYPESCRIPT = Language(
    words={"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"},
    union=" | ",
    list_of="Array<{}>",
    literal="{}",
    map_of="Record<string, {}>",
    anything="unknown",
)
NAMED = ("Row", "Prediction", "Predictions", "FeedbackItem", "Receipt", "Receipts", "Trouble")
"""The schemas that become types of their own."""


@dataclass(frozen=True)
class Property:
    """A field of a type: its name as JSON has it, quoted, its type, whether it may be left out, what it means."""

    name: str
    type: str
    optional: bool
    says: str


def named_types(document: Schema, language: Language) -> dict[str, list[Property]]:
    """The types of a document, by name."""
    schemas: dict[str, Any] = {**document["components"]["schemas"]}
    schemas["Trouble"] = schemas["Problem"]["properties"]["troubles"]["items"]
    return {name: _properties(schemas[name], language) for name in NAMED}


def _properties(schema: Schema, language: Language) -> list[Property]:
    required = set(schema.get("required", ()))
    return [
        Property(
            json.dumps(name, ensure_ascii=False),
            language.type_of(described),
            name not in required,
            " ".join(str(described.get("description", "")).split()),
        )
        for name, described in schema.get("properties", {}).items()
    ]
