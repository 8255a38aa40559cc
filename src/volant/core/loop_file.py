"""The tables of the product file about the loop: feedback, improving."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from volant.core import expression
from volant.core.section import Section, checked_budget, parse_duration


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_checked_duration)]


class SignalSection(Section):
    """What it means when somebody did something: `when` holds for the fields of feedback of kind `signal`."""

    when: str = Field(description="The condition, `click & dwell > 10s`; a field that was not sent is not true.")
    kind: str = Field("rating", description="The kind of feedback that it then counts as.")
    value: str | float | bool = Field("up", description="The value of that feedback.")
    otherwise: str | float | bool | None = Field(
        None, description="The value where the condition does not hold; by default that means nothing."
    )
    weight: float = Field(0.5, gt=0, le=1, description="What a label that follows weighs against one that was stated.")
    position: str | None = Field(
        None,
        description="The field that says where in a list, from 1, the prediction stood: what stands low is seen less, "
        "so not to act on it says less.",
    )

    @field_validator("when")
    @classmethod
    def _condition(cls, value: str) -> str:
        expression.parse(value)
        return value


class FeedbackSection(Section):
    """How feedback becomes evidence."""

    audit: float = Field(
        0.1, ge=0, le=1, description="Share of predictions whose label is asked for whatever they say."
    )
    maturity: Duration = Field(
        "0s", description='How long an answer may still be corrected before it counts ("7d", "12h").'
    )
    min_trust: float = Field(0.5, ge=0, le=1, description="Earned trust below which an actor's answers are not used.")
    silence: str | float | None = Field(
        None,
        description="The label of a prediction about which nobody has said anything when it is `maturity` old; by "
        "default silence means nothing. Where it means something, nothing is a label before that age.",
    )
    early: Literal["hold", "weigh"] = Field(
        "hold",
        description="Predictions that are not that old yet: held, or used with the probability that more is to come.",
    )
    signals: dict[str, SignalSection] = Field(
        default=dict(),
        description="What people do, and what it means; of several, the first that says anything counts.",
    )

    @model_validator(mode="after")
    def _patience(self) -> FeedbackSection:
        if self.silence is not None and parse_duration(self.maturity) == 0:
            raise ValueError("silence needs maturity: say how long to wait before it means something")
        return self


class ImproveSection(Section):
    """When and how the product improves."""

    budget: str | None = Field(None, description="Budget of a turn; by default that of training.")
    min_labels: int = Field(1, ge=1, description="New labels below which a turn does nothing.")
    robust: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much less labels of users count that models without them find unlikely: 0 not at all, 0.7 as "
        "the generalised cross entropy usually has it. A challenger that is trained so passes the same gate.",
    )
    robust_by: Literal["weigh", "select", "correct"] = Field(
        "weigh",
        description="What `robust` does with them: each weighs less (generalised cross entropy); those of the largest "
        "loss are left out, as many as are probably wrong (co-teaching); or each counts in part as the class that it "
        "is probably confused with (forward correction).",
    )
    learning: Literal["scratch", "warm", "online"] = Field(
        "scratch",
        description="How a challenger comes about: trained anew; warm, the champion's models going on over new rows "
        "and `replay` old ones; or online, over new rows alone, each once. It passes the same gate.",
    )
    replay: int = Field(
        10_000,
        ge=0,
        description="Rows that the champion knows already and that a warm start looks at again, weighing as much as "
        "all of them.",
    )
    every: Duration = Field("1d", description="How long `volant loop` waits between two turns.")
    on_drift: Literal["improve", "tell", "nothing"] = Field(
        "improve",
        description="What an alarm leads to: a turn at once, from a new copy of the source; a message by `[notify]` "
        "alone; or only a record.",
    )
    reward: tuple[float, ...] | None = Field(
        None,
        description="The least and the largest `reward` that a prediction can bring; then challengers are judged by "
        "what they would have earned on logged traffic, canaries by what they earn, and predictions without a reward "
        "count as the least once they are `feedback.maturity` old.",
    )
    rollback: bool = Field(
        True,
        description="Whether a champion that is surely worse than the one before it, on traffic whose labels were "
        "asked for at random, is taken back by `volant loop`.",
    )
    new_class_rows: int = Field(
        10, ge=1, description="Labels that a class never seen before needs to enter the contract."
    )

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str | None) -> str | None:
        return None if value is None else checked_budget(value)

    @field_validator("reward")
    @classmethod
    def _span(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not (len(value) == 2 and value[0] < value[1]):
            raise ValueError("reward is the least and the largest value, in this order")
        return value


class DriftSection(Section):
    """When traffic has moved so far from what the champion was made for that somebody must know."""

    window: Duration = Field("7d", description="How far back one looks.")
    min_rows: int = Field(200, ge=20, description="Predictions in the window below which nothing is concluded.")
    effect: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="The distance that matters: the share of rows that would have to change (total variation), or the "
        "loss in the share of right answers that is expected.",
    )
    alpha: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description="Probability of ever raising a false alarm for one champion, on any column.",
    )
    columns: tuple[str, ...] | None = Field(None, description="Inputs that are watched; by default all that can be.")


class NotifySection(Section):
    """Who is told of alarms, promotions, refusals and rollbacks of `volant loop`."""

    url: str | None = Field(
        None, description="An address that each message is sent to as JSON (a webhook); `${NAME}` takes a secret."
    )
    command: tuple[str, ...] | None = Field(
        None, description='A program that is given each message as JSON (`["mail", "-s", "volant", "me@example.com"]`).'
    )


class ReviewSection(Section):
    """What people are asked who know better."""

    per_day: int = Field(20, ge=0, description="Questions a day that may be put to reviewers.")
    window: Duration = Field("7d", description="How old predictions may be that are asked about.")
    explore: float = Field(
        0.2, ge=0, le=1, description="Share of the questions that is drawn at random, so that nothing stays unseen."
    )
