"""The command `volant`: finds the command that was asked for, runs it, and turns what happens into an exit status.

0 is success, 1 a refusal by a gate or a check, 2 bad usage or bad input, 3 an internal or resource
failure, 130 an interruption. Nothing but `typer` is imported before a command is known.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from volant import __version__
from volant.cli.faults import interrupted, report
from volant.cli.shell import FolderOption, JsonOption, Shell
from volant.errors import BadInput

COMMANDS: dict[str, str] = {
    "new": "Start a product from a table: infer its types and task",
    "config": "Print the product file with every default filled in",
    "check": "Look for what is wrong with the data before anything is trained",
    "train": "Train a candidate and let the gate judge it",
    "report": "Write the report of a release as one HTML file",
    "predict": "Predict for every row of a file",
    "explain": "Say what each column added to one prediction",
    "serve": "Serve the champion over HTTP",
    "client": "Write a typed client of the service",
    "ship": "Write what runs the service: Docker, systemd, Kubernetes",
    "export": "Write a release as ONNX with clients that need no volant",
    "log": "Export the log of predictions to Parquet",
    "retain": "Remove predictions and feedback older than the product file allows",
    "top": "Watch the running service",
    "keys": "Make, list, rotate and revoke keys of the service",
    "feedback": "Import, export, show or withdraw answers to predictions",
    "improve": "Turn the wheel once: learn from feedback, promote or refuse",
    "loop": "Turn the wheel by itself, by the rules of the product file",
    "watch": "Show how far traffic is from what the champion was made for",
    "review": "Answer the questions that teach the product most",
    "compress": "Make a release smaller and quicker, if that can be measured",
    "promote": "Make a candidate the champion by hand",
    "rollback": "Go back to the release before",
    "sign": "Vouch for a release",
    "route": "Let other releases answer a part of the traffic",
    "history": "Show everything that was promoted, refused, rolled back or routed",
    "subject": "Show or export everything that is kept of a person",
    "erase": "Erase a person from data and models, and prove it",
    "audit": "Show who changed what",
    "status": "Show where the product stands, and what to do next",
    "simulate": "Let simulated people answer predictions, some of them wrongly",
    "demo": "Watch the whole wheel turn on handwritten digits",
    "columns": "List the column types",
    "checks": "List the data checks",
    "tasks": "List the tasks",
    "learners": "List the learners",
    "schema": "Print the JSON Schema of the product file, for editors",
}
_MODULES = {"columns": "plugins", "checks": "plugins", "tasks": "plugins", "learners": "plugins"}


class LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is called, not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def command(name: str) -> Any:
    """The command of that name, its module imported.

    Raises:
        BadInput: code `usage`, with the command that was probably meant.
    """
    if name not in COMMANDS:
        fix = "`volant --help` lists the commands"
        raise BadInput(f"there is no command {name!r}", code="usage", got=name, choices=list(COMMANDS), fix=fix)
    apps = import_module(f"volant.cli.{_MODULES.get(name, name)}")
    made = typer.main.get_command(apps.app if name not in _MODULES else apps.apps[name])
    made.name = name
    return made


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"volant {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    folder: FolderOption = None,
    as_json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From raw data to a model-powered product that gets better with every user and never worse.

    The wheel: new, check, train, serve, feedback, improve. Exit status: 0 ok, 1 refused by a gate
    or a check, 2 bad usage or bad input, 3 internal or resource failure.
    """
    context.obj = Shell(folder, as_json)


app = typer.Typer(
    name="volant",
    cls=LazyGroup,
    callback=root,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: volant new churn --data customers.csv --target churned && volant -C churn train",
)


def main(args: Sequence[str]) -> int:
    """Run the command line `args` (without the program's name) and return the exit status."""
    as_json = "--json" in args
    try:
        status = typer.main.get_command(app).main(
            args=list(args) or ["--help"], prog_name="volant", standalone_mode=False
        )
    except (KeyboardInterrupt, typer.Abort):
        return interrupted(as_json)
    except Exception as error:
        return report(error, as_json)
    if status == 130:
        return interrupted(as_json)
    return status if isinstance(status, int) else 0


def run() -> NoReturn:
    """The entry point of the command `volant`."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
