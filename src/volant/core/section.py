"""What all tables of the product file share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from volant.core.budget import Budget
from volant.errors import BadInput

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """Base of all tables of the file: unknown keys are errors, and so are texts for numbers, nan and inf."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def parse_duration(text: str) -> float:
    """Seconds of `"30s"`, `"5m"`, `"12h"` or `"7d"`.

    Raises:
        ValueError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text)
    if not found:
        raise ValueError('a duration looks like "30s", "5m", "12h" or "7d"')
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def checked_budget(text: str) -> str:
    """A budget, as it is written.

    Raises:
        ValueError: it is none.
    """
    try:
        Budget.parse(text)
    except BadInput as bad:
        raise ValueError('a budget looks like "60s", "5m", "1h" or "12 units"') from bad
    return text
