"""Progress: lines where it is logged, a bar where it is watched, nothing for machines."""

from __future__ import annotations

import io

from rich.console import Console

from volant.cli.progress import Bars, Lines, progress_for
from volant.core.progress import Silent


def test_lines_name_each_stage_and_speak_now_and_then():
    now = [0.0]
    out = io.StringIO()
    progress = Lines(out, clock=lambda: now[0])
    progress.stage("training", 4)
    for second in range(30):
        now[0] = float(second)
        progress.advance(second / 10, "linear")
    progress.say("kept")
    assert out.getvalue() == "training\ntraining 25%: linear\ntraining 50%: linear\nkept\n"


def test_bars_leave_behind_what_is_done():
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=False, width=80))
    bars.stage("reading")
    bars.stage("training", 2)
    bars.advance(1, "[linear]")
    bars.say("[kept]")
    bars.done()
    assert "✓ reading" in out.getvalue()
    assert "[kept]" in out.getvalue()
    assert out.getvalue().strip().endswith("✓ training")


def test_a_bar_that_is_closed_did_not_get_done():
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=False, width=80))
    bars.stage("training")
    bars.close()
    assert "✓" not in out.getvalue()


def test_machines_get_nothing():
    assert isinstance(progress_for(as_json=True), Silent)


def test_a_pipe_gets_lines(capsys):
    assert isinstance(progress_for(as_json=False), Lines)


def test_progress_goes_to_standard_error(call, product):
    said = call("train")
    assert "40 rows a second" in said.err
    assert "40 rows a second" not in said.out
