"""Presets: what products of a kind have in common, as text of the product file that `new` writes.

A preset decides nothing that depends on the data: the columns and their types are inferred as always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from volant.core.plugins import column_type
from volant.core.records import Schema
from volant.errors import BadInput
from volant.tasks.classify import class_order


@dataclass(frozen=True)
class Preset:
    """Settings of a kind of product.

    `promise` are lines of `[task]`, `split` lines of `[data.split]`, `text` the sections that follow the columns; in
    it `{no}` and `{yes}` stand for the first and the second of two classes, as keys.
    """

    name: str
    summary: str
    task: str
    text: str
    promise: str = ""
    split: str = ""


CHURN = Preset(
    "churn",
    "who will leave, and whom it pays to ask to stay",
    "classify",
    """
[decide]  # what an answer costs, costs.TRUTH.ANSWER, in any unit: put in your own
costs.{yes}.{no} = 5  # a customer who leaves unnoticed
costs.{no}.{yes} = 1  # an offer to somebody who would have stayed

[quality]
metric = "log_loss"  # probabilities first: the costs are reckoned with them

[feedback]
maturity = "30d"  # who has not left by then has stayed

[improve]
min_labels = 100
""",
)

CREDIT_DEFAULT = Preset(
    "credit_default",
    "who will not pay back: costs of both mistakes, reasons for each refusal, no surprises",
    "classify",
    """
# What a number may do belongs into its line above, so that more of it never counts the wrong way:
#   income = {{ type = "number", monotone = "decreasing" }}  # more income never raises the risk
# What an answer must not depend on is hidden from models and only reported:
#   marital = {{ type = "category", role = "sensitive" }}

[decide]  # what an answer costs, costs.TRUTH.ANSWER, in any unit: put in your own
costs.{yes}.{no} = 20  # a loan that is lost
costs.{no}.{yes} = 1  # the earnings of a loan that was refused

[quality]
metric = "log_loss"  # probabilities first: the costs are reckoned with them

[serve]
unknown_category = "refuse"  # nobody is judged by a word that training never saw
""",
    split='by = "stratified"  # defaults are rare: each side gets its share of them\n',
)

FRAUD = Preset(
    "fraud",
    "rare cases among many: ranked by average precision, flagged where it pays to look",
    "classify",
    """
[decide]  # what an answer costs, costs.TRUTH.ANSWER, in any unit: put in your own
costs.{yes}.{no} = 50  # a fraud that passes
costs.{no}.{yes} = 1  # looking into an honest case

[quality]
metric = "pr_auc"  # average precision: accuracy says nothing where nearly all cases are honest

[feedback]
audit = 0.02  # cases that are looked into whatever was answered, so that what slips through is seen
maturity = "30d"
""",
    split='by = "stratified"  # frauds are rare: each side gets its share of them\n',
)

DISEASE_RISK = Preset(
    "disease_risk",
    "how likely an illness is: probabilities that come true, and few of the ill missed",
    "classify",
    """
[decide]  # of the thresholds that find nine in ten of the ill, the one with the fewest false alarms
metric = "precision"
minimum = {{ recall = 0.9 }}

[quality]
metric = "log_loss"  # what is said to have probability 0.2 should come true two times in ten
minimum = {{ ece = 0.2 }}  # the mean gap between stated and true probability; narrow it as rows come in

[serve]
unknown_category = "refuse"  # nobody is judged by a word that training never saw
""",
    split='by = "stratified"  # each side gets its share of the ill\n',
)

HOUSE_PRICES = Preset(
    "house_prices",
    "what something is worth, and between which bounds",
    "regress",
    """
[quality]
metric = "mae"  # in money; the root of the mean square would listen to the dearest houses alone
minimum = {{ coverage = 0.8 }}  # of the truths within their interval, on the judge rows; leave it room for chance
""",
    promise="interval = 0.9  # with each price come `low` and `high`, which hold nine truths in ten\n",
)

PRESETS = {one.name: one for one in (CHURN, CREDIT_DEFAULT, DISEASE_RISK, FRAUD, HOUSE_PRICES)}


def preset_of(name: str, task: str | None) -> Preset:
    """The preset of that name.

    Raises:
        BadInput: code `usage`: there is none, or it is for another task than the one asked for.
    """
    if name not in PRESETS:
        choices = tuple(PRESETS)
        what = f"there is no preset {name!r}"
        raise BadInput(what, code="usage", where="--preset", got=name, choices=choices)
    found = PRESETS[name]
    if task is not None and task != found.task:
        fix = "leave out --task or --preset"
        what = f"the preset {name} is for the task {found.task}"
        raise BadInput(what, code="usage", where="--task", got=task, fix=fix)
    return found


def classes_of(sample: pa.Table, schema: Schema, preset: Preset) -> Sequence[str]:
    """The two classes that a preset for them is filled in with; none for other tasks.

    Raises:
        BadInput: code `target-unfit`, for a target of more or fewer classes.
    """
    if preset.task != "classify":
        return ()
    target = schema.of_role("target")[0]
    values = column_type(target.type).parse(sample.column(target.name).combine_chunks()).values.drop_null()
    found = class_order([str(value) for value in values.unique().to_pylist()])
    if len(found) != 2:
        raise BadInput(
            f"the preset {preset.name} is for a target of two classes",
            code="target-unfit",
            where=f"column {target.name}",
            got=f"{len(found)} classes in the first {len(sample):,} rows",
            fix="leave out --preset, or choose another target",
        )
    return found
