"""The card tells people what they need, and nothing in the data can change how it reads."""

from volant.release.card import card

SCORE = {"metric": "log_loss", "value": 0.28, "low": 0.26, "high": 0.3, "n": 700}
FACTS = {
    "product": "churn",
    "digest": "a" * 64,
    "task": "classify",
    "target": "churned",
    "classes": ["no", "yes"],
    "inputs": [{"name": "age", "type": "number"}, {"name": "a|b`c", "type": "category"}],
    "contract": 2,
    "dataset": "d" * 64,
    "rows": {"train": 5000, "judge": 1000, "test": 1000},
    "metric": "log_loss",
    "evaluation": {
        "rows": 1000,
        "unknown": 3,
        "scores": [SCORE, {**SCORE, "metric": "ece", "low": None}],
        "slices": [{"name": "sex=F | x", "n": 300, "scores": [SCORE]}],
        "weak": [{"name": "<script>", "n": 40, "scores": [SCORE]}],
        "speed": {"p50_ms": 0.2, "p99_ms": 0.4, "thousand_ms": 20.0, "memory_mb": 13.2, "size_bytes": 280_000},
    },
}


def test_everything_known_is_told():
    text = card(FACTS)
    for said in (
        "# churn",
        "`churned`",
        "`no`, `yes`",
        "997 rows",
        "| **log_loss** (decides) | 0.28 | 0.26 to 0.3 |",
        "| ece | 0.28 | – to 0.3 |",
        "sex=F \\| x",
        "\\<script\\>",
        "| `a\\|b'c` | category |",
        "Contract version: 2",
        "13.2 MB",
        "Licence of the data",
    ):
        assert said in text, said


def test_tables_are_whole():
    rows = [line for line in card(FACTS).splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_little_is_known_and_still_told():
    text = card({"product": "p", "task": "regress", "target": "y"})
    assert text.startswith("# p\n")
    assert "How good it is" not in text
    assert "classes" not in text


def test_a_name_cannot_add_a_line():
    text = card({**FACTS, "product": "x\n# y"})
    assert text.startswith("# x \\# y\n")


def test_there_is_never_more_than_one_empty_line():
    assert "\n\n\n" not in card(FACTS)


def test_intervals_are_told_with_what_they_promise_and_keep():
    views = {"intervals": {"promised": 0.9, "coverage": 0.8841, "mean_width": 58_322.0}}
    text = card({**FACTS, "evaluation": {**FACTS["evaluation"], "views": views}})
    assert "is to hold 90 % of the truths; on these rows it held 88.4 %, with a mean width of 58,322." in text
    assert "interval that is to hold" not in card(FACTS)
