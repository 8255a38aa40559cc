"""The contract of a release with its callers, derived from a problem and a reference profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from volant.core.records import Column, Field, Problem, Signature

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mNkEIAAJgGKGACOGAQAwSeVywAAAABJRU5ErkJggg=="
"""A picture of 8 × 8 shades of grey, as PNG in base64."""

EXAMPLES = {"text": "some text", "list": "[1, 2]", "json": "{}", "id": "a-1", "boolean": True, "image": IMAGE}


def signature_of(
    problem: Problem,
    profile: Mapping[str, Any],
    before: Signature | None = None,
    missing: tuple[str, ...] | None = None,
    beside: Sequence[Column] = (),
    person: Column | None = None,
) -> Signature:
    """The signature of what solves `problem`; `beside` are columns that callers may send and no model sees.

    `person` is the column that says whose row it is, where answers are personal: it may be sent, and no model sees it.

    `contract` is that of `before` as long as inputs, outputs and classes stay the same; else it is one higher.
    """
    inputs = tuple(_field(c.name, c.type, profile["columns"][c.name]) for c in problem.inputs)
    inputs += () if person is None else (Field(person.name, person.type),)
    new = Signature(problem.task, problem.target, inputs, _outputs(problem), problem.classes, missing=missing)
    new = replace(new, beside=tuple(Field(c.name, c.type) for c in beside), labels=problem.labels)
    if before is None:
        return new
    return replace(new, contract=before.contract + (not same_contract(new, before)))


def _field(name: str, kind: str, facts: Mapping[str, Any]) -> Field:
    shares = facts.get("shares", {})
    quantiles = facts.get("quantiles")
    example = EXAMPLES.get(kind)
    if kind == "category":
        example = next(iter(shares), "a")
    elif kind in ("number", "timestamp") and quantiles:
        example = quantiles[len(quantiles) // 2]
    return Field(name, kind, facts["missing"] == 0.0, example, tuple(shares))


def _outputs(problem: Problem) -> tuple[Field, ...]:
    if problem.classes:
        return (Field("label", "category", True, problem.classes[0], problem.classes), Field("probabilities", "number"))
    if problem.labels:
        return (Field("labels", "labels", True, [problem.labels[0]], problem.labels), Field("probabilities", "number"))
    names = ("value", "low", "high") if problem.interval else ("value",)
    return tuple(Field(name, "number", True, 0.0) for name in names)


def same_inputs(one: Signature, other: Signature) -> bool:
    """Whether whoever can call the one can call the other: same question, same fields, read in the same way."""

    def shape(signature: Signature) -> tuple[Any, ...]:
        fields = [(f.name, f.type) for f in (*signature.inputs, *signature.beside)]
        return signature.task, signature.target, fields, signature.missing

    return shape(one) == shape(other)


def same_contract(new: Signature, before: Signature) -> bool:
    """Whether a caller of the one can call the other: same fields and classes.

    Known categories may differ, and so may whether a field may be left out.
    """

    def shape(signature: Signature) -> tuple[Any, ...]:
        inputs = [(f.name, f.type) for f in signature.inputs]
        return (
            signature.task,
            signature.target,
            inputs,
            [f.name for f in signature.outputs],
            signature.classes,
            signature.labels,
            signature.missing,
        )

    return shape(new) == shape(before)
