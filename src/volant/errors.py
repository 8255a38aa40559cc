"""Every error that volant raises: what happened, where, what was found, what was allowed, how to mend it.

An error has a stable `code`; `docs/errors/<code>.md` explains it. `CODES` is the whole list. The exit
status of the command line follows from the class: `Refused` 1, `BadInput` 2, `Failure` 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

CODES: dict[str, str] = {
    # product file
    "product-file-missing": "there is no volant.toml where one was expected",
    "product-file-syntax": "volant.toml is not valid TOML",
    "product-file-invalid": "volant.toml holds unknown keys or values that do not fit",
    "product-file-version": "volant.toml was written for a version of the format that this volant does not know",
    "product-exists": "the folder for a new product is already in use",
    # plugins
    "plugin-unknown": "no installed plugin has that name",
    "plugin-broken": "an installed plugin cannot be loaded",
    "plugin-duplicate": "two installed distributions offer a plugin of the same name",
    # sources and columns
    "source-missing": "a data source does not exist or cannot be opened",
    "source-format": "the format of a data source is not known",
    "source-unreadable": "a data source is damaged or does not have the format its name promises",
    "source-empty": "a data source has no rows",
    "source-sql": "a query against a database failed",
    "column-missing": "a column that the product file names is not in the data",
    "column-type": "a column does not have the type that the product file gives it",
    "target-missing": "the target column is not in the data or has no values",
    "target-unfit": "the values of the target column leave nothing to learn or do not fit the task",
    # stages
    "check-refused": "a data check found something that must be mended before training",
    "too-large": "the work will not fit into this machine's memory or disk",
    "no-dataset": "the product has no dataset version yet",
    "no-release": "the product has no release yet",
    "no-candidate": "there is no candidate of that name",
    "gate-refused": "the gate refused to promote a candidate",
    "nothing-to-roll-back": "there is no earlier release to go back to",
    "route-unfit": "a release cannot be given that part of the traffic",
    "nothing-to-compress": "the release holds no network that could be made smaller",
    "nothing-to-learn": "there is no new evidence to learn from",
    "busy": "another volant process is doing this to the product at the moment",
    "budget-invalid": "a budget is neither a time nor a number of work units",
    "training-failed": "no learner could be trained",
    # artifacts
    "artifact-damaged": "a file of an artifact is missing, changed or truncated",
    "artifact-unknown-step": "an artifact holds a step that this version does not know",
    "artifact-version": "an artifact was written by a newer version of the format",
    "artifact-unsigned": "a release is not sealed by anybody whom the product file trusts",
    "seal-invalid": "the key that seals releases cannot be used",
    # store
    "store-unavailable": "the store cannot be opened",
    "store-version": "the store was written by a newer version of volant",
    "store-full": "the store cannot be written because the disk is full",
    "store-failed": "the store could not make a write durable",
    # predictions and feedback
    "input-invalid": "input does not fit the release's signature",
    "row-missing": "there is no such row",
    "prediction-unknown": "there is no prediction with that id",
    "feedback-invalid": "feedback does not have the form that the task takes",
    # command line and service
    "usage": "a command was called with options that do not fit",
    "extra-missing": "an optional dependency is needed and not installed",
    "request-invalid": "a request is malformed",
    "request-too-large": "a request is larger than the service accepts",
    "not-found": "there is no such path",
    "method-not-allowed": "the path does not take this method",
    "media-type": "the body is not in a media type that the path takes",
    "not-ready": "the service is not ready to predict",
    "overloaded": "more work is waiting than the service takes",
    "too-slow": "a request did not come in the time that it may take",
    "deadline": "an answer took longer than it may",
    "key-required": "a key of the service is needed and was not given, or is not the right one",
    "key-forbidden": "the key that was given is not for this",
    "key-unknown": "there is no key of that id",
    "rate-exceeded": "a key sends more requests than it may",
    "quota-exceeded": "a key has used up its rows for the period",
    "tls-invalid": "the certificate of the service cannot be used",
    "address-in-use": "the service cannot listen at an address",
    "prediction-failed": "the model gave no usable answer",
    "internal": "something went wrong inside volant",
}


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, or None.

    >>> nearest("classfy", ["classify", "regress"])
    'classify'
    """
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return found[0] if found else None


def place_of(error: BaseException) -> str:
    """The type of an error and where it was raised, without its message, which may hold user data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__} in {trace.tb_frame.f_globals.get('__name__')}, line {trace.tb_lineno}"


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong: the unit that every error is made of.

    `got` is a type, a shape or a word of the file, never a cell of user data and never a secret.
    """

    what: str
    where: str | None = None
    got: str | None = None
    choices: tuple[str, ...] = ()
    fix: str | None = None
    meant: str | None = field(default=None)

    def lines(self) -> list[str]:
        parts = [("where", self.where), ("got", self.got), ("choices", ", ".join(self.choices) or None)]
        parts += [("did you mean", self.meant), ("fix", self.fix)]
        return [self.what, *(f"  {name}: {text}" for name, text in parts if text)]


class VolantError(Exception):
    """The root of all errors. Holds one or more troubles and a stable code.

    Args:
        what: one sentence that says what is wrong.
        code: a key of `CODES`.
        where: file and line, column name, row number, or field.
        got: what was found there.
        choices: what is allowed there; with `got` they give "did you mean".
        fix: what the user can do.
        troubles: used instead of the above when several things are wrong at once.
    """

    exit_status = 3

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str | None = None,
        got: str | None = None,
        choices: Sequence[str] = (),
        fix: str | None = None,
        troubles: Sequence[Trouble] = (),
    ) -> None:
        if code not in CODES:
            raise ValueError(f"error code {code!r} is not in volant.errors.CODES")
        self.code = code
        meant = nearest(got, choices) if got and choices else None
        one = Trouble(what, where, got, tuple(choices), fix, meant)
        self.what = what
        self.troubles: tuple[Trouble, ...] = tuple(troubles) or (one,)
        super().__init__(self.text())

    def text(self) -> str:
        """The whole message over several lines, without the code."""
        if len(self.troubles) == 1 and self.troubles[0].what == self.what:
            return "\n".join(self.troubles[0].lines())
        body = [line for trouble in self.troubles for line in trouble.lines()]
        return "\n".join([self.what, *("  " + line for line in body)])

    def record(self) -> dict[str, object]:
        """The error as plain data, for `--json` and problem+json."""
        keys = ("what", "where", "got", "choices", "meant", "fix")
        listed = [{k: getattr(t, k) for k in keys if getattr(t, k)} for t in self.troubles]
        return {"error": self.code, "what": self.what, "troubles": listed}


class Refused(VolantError):
    """A gate or a check said no. Exit status 1."""

    exit_status = 1


class BadInput(VolantError):
    """Bad usage or bad input: the user can mend it. Exit status 2."""

    exit_status = 2


class Failure(VolantError):
    """An internal or resource failure. Exit status 3."""

    exit_status = 3
