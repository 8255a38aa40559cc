"""Plays people who show a service pictures and say what they are: the name of a picture's folder is the truth.

    python examples/digits/users.py later http://127.0.0.1:8000

Standard library only, as a program in any language would do it.
"""

from __future__ import annotations

import argparse
import json
import random
import urllib.request
from pathlib import Path

TEAM = 7
"""People who take turns."""


def post(url: str, body: bytes, kind: str) -> dict[str, object]:
    """Send a body of a media type and get JSON."""
    request = urllib.request.Request(url, body, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    asked = parser.parse_args()
    pictures = sorted(asked.folder.rglob("*.png"))
    random.Random(0).shuffle(pictures)
    right = 0
    for number, path in enumerate(pictures):
        (answer,) = post(f"{asked.url}/v1/predict", path.read_bytes(), "image/png")["predictions"]
        truth, actor = path.parent.name, f"user{number % TEAM}"
        right += answer["label"] == truth
        said = {"prediction_id": answer["id"], "kind": "correction", "value": truth, "actor": actor}
        post(f"{asked.url}/v1/feedback", json.dumps({"feedback": [said]}).encode(), "application/json")
    print(f"{len(pictures)} pictures shown and named; {right / len(pictures):.0%} of the predictions were right")


if __name__ == "__main__":
    main()
