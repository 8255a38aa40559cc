"""Writes invented customers of a telephone company as CSV. Standard library only.

    python examples/churn/customers.py customers.csv
    python examples/churn/customers.py --rows 800 --seed 2 new_customers.csv

Whether a customer leaves depends on the contract, on how long it has run, on calls to support, and on
chance; the same seed gives the same customers.
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


def customer(number: int, chance: random.Random) -> dict[str, object]:
    """One customer, with the answer in `churned`."""
    plan = chance.choices(list(PLANS), (5, 3, 2))[0]
    contract = chance.choices(CONTRACTS, (5, 3, 2))[0]
    months = min(int(chance.expovariate(1 / 26)), 110)
    calls = min(int(chance.expovariate(1 / 1.4)), 12)
    fee = round(PLANS[plan] * chance.uniform(0.85, 1.3), 2)
    autopay = chance.random() < 0.6
    idle = int(chance.expovariate(1 / 9))
    logit = -1.6 + 1.1 * (contract == "monthly") - 1.0 * (contract == "two years") - 0.035 * months
    logit += 0.55 * calls - 0.5 * autopay + 0.045 * idle + 0.02 * (fee - PLANS[plan]) * (contract == "monthly")
    logit += 0.8 * (plan == "gold" and calls >= 3)
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
    parser.add_argument("--rows", type=int, default=3000)
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
