"""Writes invented customers of a telephone company as CSV. Standard library only.

    python examples/churn/customers.py customers.csv
    python examples/churn/customers.py --rows 4000 --seed 2 new_customers.csv

Whether a customer leaves depends on the contract and when it ends, on the plan, the fee, calls to support,
and on chance; the same seed gives the same customers.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

PLANS = {"basic": 19.0, "family": 35.0, "gold": 59.0}
REGIONS = ("north", "south", "east", "west", "islands")
CONTRACTS = ("monthly", "one year", "two years")
TODAY = date(2026, 1, 1)


def risk(plan: str, contract: str, *, months: int, calls: int, idle: int, fee: float, autopay: bool) -> float:
    """The log-odds of leaving: mostly what meets what, so that more customers have more to tell."""
    if contract == "two years":
        return 3.0 if months % 24 >= 22 and fee > PLANS[plan] else -6.0
    if contract == "one year":
        return 3.0 if months % 12 >= 9 and (calls >= 2 or idle > 12) else -4.5
    if plan == "gold":
        return 4.5 if calls >= 3 else -3.5 if autopay else 1.0
    if plan == "family":
        return 4.0 if idle > 10 and months < 24 else -4.0
    return 3.5 if fee > 1.1 * PLANS[plan] and not autopay else -3.0 if months > 12 else 0.0


def customer(number: int, chance: random.Random) -> dict[str, object]:
    """One customer, with the answer in `churned`."""
    plan = chance.choices(list(PLANS), (5, 3, 2))[0]
    contract = chance.choices(CONTRACTS, (5, 3, 2))[0]
    months = min(int(chance.expovariate(1 / 26)), 110)
    calls = min(int(chance.expovariate(1 / 1.4)), 12)
    fee = round(PLANS[plan] * chance.uniform(0.85, 1.3), 2)
    autopay = chance.random() < 0.6
    idle = int(chance.expovariate(1 / 9))
    logit = risk(plan, contract, months=months, calls=calls, idle=idle, fee=fee, autopay=autopay)
    return {
        "customer_no": f"C{number:06d}",
        "signed_up": (TODAY - timedelta(days=30 * months + chance.randrange(30))).isoformat(),
        "plan": plan,
        "contract": contract,
        "region": chance.choice(REGIONS),
        "monthly_fee": fee,
        "tenure_months": months,
        "support_calls": calls if chance.random() > 0.04 else "",
        "autopay": "yes" if autopay else "no",
        "days_since_login": idle,
        "churned": "yes" if chance.random() < 1 / (1 + math.exp(-logit)) else "no",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    rows = [customer(100_000 * asked.seed + number, chance) for number in range(asked.rows)]
    with asked.path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} customers written to {asked.path}")


if __name__ == "__main__":
    main()
