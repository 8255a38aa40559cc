"""Plays the users of a churn service: asks about customers, and says later what they really did.

    python examples/churn/users.py new_customers.csv http://127.0.0.1:8000

Standard library only, as a program in any language would do it.
"""

from __future__ import annotations

import argparse
import csv
import json
import urllib.request
from pathlib import Path

BATCH = 100
OURS = ("customer_no", "churned")
"""Columns that are no inputs: who it is, and what became of them."""


def post(url: str, body: object) -> dict[str, object]:
    """Send JSON and get JSON."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def value(name: str, cell: str) -> object:
    """A cell of the file as JSON: numbers as numbers, an empty cell as null."""
    if name in ("monthly_fee", "tenure_months", "support_calls", "days_since_login"):
        return float(cell) if cell else None
    return cell or None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("url")
    asked = parser.parse_args()
    with asked.path.open(encoding="utf-8") as stream:
        customers = list(csv.DictReader(stream))
    right = 0
    for start in range(0, len(customers), BATCH):
        some = customers[start : start + BATCH]
        rows = [{name: value(name, cell) for name, cell in row.items() if name not in OURS} for row in some]
        subjects = [row["customer_no"] for row in some]
        answers = post(f"{asked.url}/v1/predict", {"rows": rows, "subject": subjects})["predictions"]
        feedback = [
            {"prediction_id": answer["id"], "kind": "correction", "value": row["churned"], "actor": "billing"}
            for answer, row in zip(answers, some, strict=True)
        ]
        right += sum(answer["label"] == row["churned"] for answer, row in zip(answers, some, strict=True))
        post(f"{asked.url}/v1/feedback", {"feedback": feedback})
    share = right / len(customers)
    print(f"{len(customers)} customers predicted and answered for; {share:.0%} of the predictions were right")


if __name__ == "__main__":
    main()
