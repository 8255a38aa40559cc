"""Predictions line by line: a body of any number of rows, answered piece by piece while it is worked through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from volant.errors import VolantError
from volant.serve.forms import answer_lines, whole
from volant.serve.problems import problem, status_of

Ask = Callable[[bytes, str], Awaitable[bytes]]
"""The JSON answer to a JSON body; the text makes a repeated request known, where there is one."""


class Lines:
    """The answers to lines, in their order. What is wrong with one line spoils no other.

    Args:
        ask: gives answers.
        pieces: the lines in lots that are predicted together.
        request_id: stands in what is said of a bad line.
        name: what makes the request the same as another one, or nothing.
    """

    def __init__(self, ask: Ask, pieces: Iterable[Sequence[bytes]], request_id: str, name: str) -> None:
        self._ask = ask
        self._pieces = pieces
        self._request_id = request_id
        self._name = name

    async def answers(self) -> AsyncIterator[bytes]:
        """One piece after the other.

        Raises:
            VolantError: the first piece cannot be answered, and not for what it says.
        """
        for number, piece in enumerate(self._pieces):
            name = f"{self._name}/{number}" if self._name else ""
            yield await self._piece(piece, name, first=not number)

    async def _piece(self, piece: Sequence[bytes], name: str, *, first: bool) -> bytes:
        try:
            return b"".join(answer_lines(await self._ask(whole(piece), name)))
        except VolantError as error:
            if first and not _is_theirs(error):
                raise
        if len(piece) == 1:
            return await self._line(piece[0], name)
        return b"".join([await self._line(line, name and f"{name}/{i}") for i, line in enumerate(piece)])

    async def _line(self, line: bytes, name: str) -> bytes:
        try:
            return b"".join(answer_lines(await self._ask(whole([line]), name)))
        except VolantError as error:
            return b'{"error":' + problem(error, self._request_id) + b"}\n"


def _is_theirs(error: VolantError) -> bool:
    """Whether an error is about what was sent, row by row; of others the whole request is told."""
    return status_of(error) in (400, 422, 500)


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, the first of which is made already, so that what keeps it from that is told by a status."""
    first = await anext(pieces)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()
