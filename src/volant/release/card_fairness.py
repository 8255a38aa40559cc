"""The parts of the model card on decisions and fairness."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST_GROUPS = 30
_SOURCES = {
    "threshold": "a threshold that the product file fixes",
    "metric": "what was best at {metric} on training rows held out in turn",
    "costs": "the least expected cost",
    "fairness": "what was best at {metric} on training rows held out in turn while groups stay close",
}


def decision_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """How answers follow from probabilities, where they are not just the likeliest class."""
    found = (evaluation.get("views") or {}).get("decision")
    if not found:
        return
    source = _SOURCES[found["source"]].format(metric=_words(found["metric"]))
    yield f"Answers follow from the probabilities by {source}."
    yield ""
    if found.get("threshold") is not None:
        yield f"- `{_code(found['classes'][1])}` is the answer from a probability of {_number(found['threshold'])} on."
    decision = found["decision"]
    for group, threshold in decision["thresholds"]:
        yield f"- Where `{_code(decision['column'])}` is `{_code(group)}` the threshold is {_number(threshold)}."
    if found["costs"]:
        yield f"- Costs are {'; '.join(_costs(found))}."
    if not found["kept"]:
        yield "- What was asked for besides could not be kept on the rows where this was chosen."


def _costs(found: Mapping[str, Any]) -> Iterator[str]:
    classes = found["classes"]
    for truth, row in zip(classes, found["costs"], strict=True):
        for answer, cost in zip(classes, row, strict=True):
            if cost and len(classes) <= 6:
                yield f"{_number(cost)} for `{_code(answer)}` where `{_code(truth)}` is true"
    if len(classes) > 6:
        yield f"those of {len(classes)} classes in the product file"


def fairness_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """How groups of people are treated, with 95 % intervals."""
    found = (evaluation.get("views") or {}).get("fairness")
    if not found or not found["audits"]:
        return
    positive = found.get("positive")
    selected = f" Selected means answered `{_code(positive)}`." if positive is not None else ""
    yield f"Groups of people on the test rows, with 95 % intervals; small groups stand together.{selected}"
    if found.get("limit") is not None:
        word = "at least" if str(found["metric"]).endswith("_ratio") else "at most"
        yield f"The gate asks for a {_words(found['metric'])} of {word} {_number(found['limit'])} on the judge rows."
    if found.get("mitigation"):
        yield f"Mitigation: {_words(found['mitigation'])}."
    for audit in found["audits"]:
        yield from ("", f"### {_text(audit['column'])}", "")
        yield from _groups(audit)
        yield ""
        for gap in audit["gaps"]:
            yield f"- {_words(gap['metric']).capitalize()}: {_number(gap['value'])} ({_ends(gap)})"


def _groups(audit: Mapping[str, Any]) -> Iterator[str]:
    groups = audit["groups"][:MOST_GROUPS]
    rates = list(groups[0]["rates"]) if groups else []
    yield f"| Group | Rows | {' | '.join(_words(rate).capitalize() for rate in rates)} |"
    yield f"| --- | --- |{' --- |' * len(rates)}"
    for group in groups:
        cells = [f"{_number(group['rates'][r]['value'])} ({_ends(group['rates'][r])})" for r in rates]
        yield f"| {_text(group['name'])} | {_number(group['n'])} | {' | '.join(cells)} |"


def _ends(one: Mapping[str, Any]) -> str:
    return f"{_number(one['low'])} to {_number(one['high'])}"


def _words(name: str) -> str:
    return "mean absolute error" if name == "mae" else name.replace("_", " ")


def _text(value: object) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(str(value).split()))


def _code(value: object) -> str:
    return " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")


def _number(value: object) -> str:
    return "–" if not isinstance(value, int | float) else f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
