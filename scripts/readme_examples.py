"""Runs the commands that the READMEs show and puts in what they really say.

A block that follows `<!-- run -->` is run, command by command, in an empty folder; both READMEs hold the same
commands, which are run once. `make examples` calls this. A command that ends in `&` goes on in the background
until all are done.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "README.zh.md")
BLOCK = re.compile(r"(<!-- run -->\n```console\n)(.*?)(```\n)", re.DOTALL)


def blocks(text: str) -> list[str]:
    """The runnable blocks of a page."""
    return [found[2] for found in BLOCK.finditer(text)]


def commands(block: str) -> Iterator[str]:
    """The commands of a block, each over one line, or over several where a line or a quotation is not at its end."""
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while _goes_on(command):
                command += "\n" + next(lines)
            yield command


def _goes_on(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return True
    return command.endswith("\\")


class Player:
    """Runs commands in one folder, as somebody would who reads along."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "examples").symlink_to(ROOT / "examples")
        paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": paths, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
        self.background: list[subprocess.Popen[str]] = []

    def play(self, command: str) -> str:
        """What a command writes to standard output.

        Raises:
            RuntimeError: it failed.
        """
        sys.stderr.write(f"$ {command}\n")
        if command.endswith("&"):
            return self._start(command[:-1])
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode > command.startswith("volant"):  # 1 is a refusal, which is an answer
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return self._tidy(done.stdout)

    def _start(self, command: str) -> str:
        started = subprocess.Popen(
            f"exec {command}", shell=True, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        self.background.append(started)
        assert started.stdout is not None
        said = started.stdout.readline()
        if not said:
            raise RuntimeError(f"{command} said nothing")
        return self._tidy(said)

    def _tidy(self, text: str) -> str:
        text = text.replace(f"{self.folder}/", "")
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def close(self) -> None:
        """Stop what runs in the background."""
        for process in self.background:
            process.send_signal(signal.SIGTERM)
        for process in self.background:
            process.wait(timeout=30)


def main() -> None:
    asked = {command: "" for page in PAGES for block in blocks(page.read_text("utf-8")) for command in commands(block)}
    with tempfile.TemporaryDirectory() as folder:
        player = Player(Path(folder).resolve())
        try:
            for command in asked:
                asked[command] = player.play(command)
                time.sleep(0.2)
        finally:
            player.close()

    def filled(found: re.Match[str]) -> str:
        parts = [f"$ {command}\n{asked[command]}" for command in commands(found[2])]
        return found[1] + "\n".join(parts) + found[3]

    for page in PAGES:
        page.write_text(BLOCK.sub(filled, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
