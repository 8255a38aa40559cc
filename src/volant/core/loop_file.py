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
    new_class_rows: int = Field(
        10, ge=1, description="Labels that a class never seen before needs to enter the contract."
    )

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str | None) -> str | None:
        return None if value is None else checked_budget(value)
