"""Notify: tell somebody outside, by a webhook or by a program. Whoever does not listen holds nothing up."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from volant.core.ids import digest
from volant.wheel.context import Context, from_environment
from volant.wheel.results import plain

PATIENCE = 10.0
"""Seconds that a webhook or a program may take."""


def notify(context: Context, message: Mapping[str, Any]) -> list[dict[str, str]]:
    """Send a message to everybody that the product file names, each once; how it went.

    The same message has the same `id`, so that a receiver can tell a repetition after a crash.
    """
    rules = context.product.file.notify
    text = json.dumps(plain({**message, "id": digest(plain(message))[:16]}), ensure_ascii=False).encode()
    done = []
    if rules.url is not None:
        done.append({"to": "url", "result": _sent(from_environment(rules.url), text)})
    if rules.command is not None:
        done.append({"to": rules.command[0], "result": _run([from_environment(one) for one in rules.command], text)})
    for one in done:
        if one["result"] != "sent":
            context.progress.say(f"{one['to']} was not told: {one['result']}")
    return done


def _sent(url: str, body: bytes) -> str:
    if not url.startswith(("https://", "http://")):
        return "an address begins with https:// or http://"
    asked = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE):
            return "sent"
    except urllib.error.HTTPError as error:
        with error:
            return f"answered with {error.code}"
    except (OSError, ValueError, HTTPException) as error:
        return type(error).__name__


def _run(command: list[str], text: bytes) -> str:
    try:
        done = subprocess.run(command, input=text, timeout=PATIENCE, capture_output=True, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "sent" if done.returncode == 0 else f"ended with status {done.returncode}"
