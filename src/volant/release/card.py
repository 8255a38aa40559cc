"""The model card: what a release is, how good it is, where it is weak, as Markdown for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from volant.release.card_fairness import decision_lines, fairness_lines

MOST_INPUTS = 60
MOST_CLASSES = 40
MOST_SLICES = 30


def card(facts: Mapping[str, Any]) -> str:
    """The card as Markdown.

    `facts` holds `product`, `digest`, `task`, `target`, `classes`, `inputs` (name and type each), `contract`,
    `dataset`, `rows` (per side), `metric`, and `evaluation`, the record of an `Evaluation`. What is missing
    is left out.
    """
    parts = [
        [f"# {_text(facts.get('product', 'A release'))}", "", *_summary(facts)],
        _section("Intended use", _use(facts)),
        _section("How good it is", _quality(facts)),
        _section("How it decides", decision_lines(_evaluation(facts))),
        _section("Where it is weaker", _weaker(_evaluation(facts))),
        _section("Fairness", fairness_lines(_evaluation(facts))),
        _section("Limits", _limits(facts)),
        _section("Data", _data(facts)),
        _section("Inputs", _inputs(facts)),
        _section("Cost", _cost(_evaluation(facts).get("speed") or {})),
        _section("How it was made", _making(facts)),
        _section("Licence and contact", _licence()),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    body = "\n".join(lines).rstrip().splitlines()
    return [f"## {title}", "", *body] if body else []


def _text(value: object) -> str:
    """A name from the data as Markdown text: one line, nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(str(value).split()))


def _evaluation(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = facts.get("evaluation") or {}
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _number(value: object) -> str:
    if not isinstance(value, int | float):
        return "–"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"Predicts the column `{_code(facts.get('target', ''))}`; the task is `{_code(facts.get('task', ''))}`."
    classes = [str(c) for c in facts.get("classes") or ()]
    if classes:
        more = f" and {len(classes) - MOST_CLASSES} more" if len(classes) > MOST_CLASSES else ""
        yield f"The classes are {', '.join(f'`{_code(c)}`' for c in classes[:MOST_CLASSES])}{more}."
    yield ""
    yield f"- Release: `{_code(facts.get('digest', ''))}`"
    yield f"- Contract version: {_number(facts.get('contract', 1))}"


def _code(value: object) -> str:
    return " ".join(str(value).split()).replace("`", "'")


def _use(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"To answer rows like those it was trained on, through volant, for the product {_text(facts.get('product'))}."
    yield "Who may rely on it for which decisions is for the product's owner to state here."
    yield ""
    yield "It is not meant for rows from another population, nor to decide alone where an error does harm."


def _quality(facts: Mapping[str, Any]) -> Iterator[str]:
    evaluation = _evaluation(facts)
    scores = evaluation.get("scores") or []
    if not scores:
        return
    decides, unknown = facts.get("metric"), evaluation.get("unknown") or 0
    measured = (evaluation.get("rows") or 0) - unknown
    yield f"Measured on {_number(measured)} rows that were kept apart from training, with 95 % intervals."
    if unknown:
        yield f"{_number(unknown)} further rows have no truth that it could know, and are left out."
    yield ""
    rows = (
        (
            f"**{s['metric']}** (decides)" if s["metric"] == decides else str(s["metric"]),
            _number(s["value"]),
            _range(s),
        )
        for s in scores
    )
    yield from _table(("Metric", "Value", "Interval"), rows)
    yield from _intervals((evaluation.get("views") or {}).get("intervals") or {})


def _intervals(found: Mapping[str, Any]) -> Iterator[str]:
    """What the intervals around numbers promise, and what they kept."""
    if found:
        promised, kept = (f"{100 * found[name]:.3g} %" for name in ("promised", "coverage"))
        yield ""
        yield (
            f"Every number comes with an interval that is to hold {promised} of the truths; on these rows it held "
            f"{kept}, with a mean width of {_number(found['mean_width'])}. That is promised over all rows, not for "
            "each group of them."
        )


def _range(score: Mapping[str, Any]) -> str:
    return f"{_number(score['low'])} to {_number(score['high'])}"


def _weaker(evaluation: Mapping[str, Any]) -> Iterator[str]:
    groups = [("declared", evaluation.get("slices") or []), ("found", evaluation.get("weak") or [])]
    for kind, slices in groups:
        shown = [one for one in slices if one["scores"]][:MOST_SLICES]
        if not shown:
            continue
        metric = shown[0]["scores"][0]["metric"]
        said = (
            "Groups that the product file names:"
            if kind == "declared"
            else "Groups found to be served significantly worse than the rest:"
        )
        yield from (said, "")
        rows = (
            (_text(s["name"]), _number(s["n"]), _number(s["scores"][0]["value"]), _range(s["scores"][0])) for s in shown
        )
        yield from _table(("Group", "Rows", metric, "Interval"), rows)
        yield ""
    if not any(slices for _, slices in groups):
        yield "No group of rows was found that is served significantly worse than the others."


def _limits(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "- Its quality is known for rows like those it was measured on. Where the data drifts, the numbers above"
    yield "  no longer hold."
    yield "- It repeats what its data holds, errors and unfairness included. Groups that nobody named or that are"
    yield "  too small to measure may be served worse."
    yield "- A category or a range of numbers never seen in training is answered all the same; the answer is flagged."
    if facts.get("classes"):
        yield "- It knows the classes listed above and no other."


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("dataset"):
        yield f"- Dataset version: `{_code(facts['dataset'])}`"
    for side, n in (facts.get("rows") or {}).items():
        yield f"- Rows of `{_code(side)}`: {_number(n)}"
    yield "- Where the data comes from, and by what right it is used: for the product's owner to state here."


def _inputs(facts: Mapping[str, Any]) -> Iterator[str]:
    inputs = facts.get("inputs") or []
    if not inputs:
        return
    rows = ((f"`{_code(f['name'])}`".replace("|", "\\|"), str(f["type"])) for f in inputs[:MOST_INPUTS])
    yield from _table(("Column", "Type"), rows)
    if len(inputs) > MOST_INPUTS:
        yield f"\nand {len(inputs) - MOST_INPUTS} more."


def _cost(speed: Mapping[str, Any]) -> Iterator[str]:
    if not speed:
        return
    yield f"- One row: {_number(speed.get('p50_ms'))} ms (99 of 100 within {_number(speed.get('p99_ms'))} ms)"
    yield f"- A thousand rows: {_number(speed.get('thousand_ms'))} ms"
    if speed.get("memory_mb") is not None:
        yield f"- Memory: {_number(speed['memory_mb'])} MB"
    yield f"- On disk: {_number((speed.get('size_bytes') or 0) / 1e6)} MB"


def _making(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "Trained, exported and evaluated by volant. The files hold numbers and a graph of known steps, no code;"
    yield "what was evaluated is byte for byte what is served. `manifest.json` names every file with its SHA-256."
    if facts.get("metric"):
        yield f"It was chosen by `{_code(facts['metric'])}`."


def _licence() -> Iterator[str]:
    yield "- Licence of the model: for the product's owner to state here."
    yield "- Licence of the data: for the product's owner to state here."
    yield "- Contact: for the product's owner to state here."
