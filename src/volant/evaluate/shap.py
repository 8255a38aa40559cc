"""Exact Shapley values of trees and linear maps against a background of rows.

Interventional TreeSHAP. A player is a column of the product: all features that stem from a column are its row's
or the background's together, so the values are exact for columns, not for their encodings. For a leaf, each
player on its path is for the row alone, for the background row alone, or for both; the leaf's game then has a
closed form. Which background rows a player lets pass is a mask of bits, so all of them are counted at once.

Source: Lundberg et al., From Local Explanations to Global Understanding with Explainable AI for Trees, Nature
Machine Intelligence, 2020, algorithm 2; Laberge and Pequignot, Understanding Interventional TreeSHAP, 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial

import numpy as np

from volant.bind.onnx_reader import (
    EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    LESS,
    LESS_OR_EQUAL,
    MEMBER,
    NOT_EQUAL,
    Affine,
    TreeArrays,
)

MOST_BACKGROUND = 64
"""Background rows at the most: the bits of one mask."""

_BLOCK = 8_192
"""Leaves that are worked on at once."""


@dataclass(frozen=True)
class _Bundle:
    """Leaves with the same number k of players on their paths.

    `edge` is the place of each leaf (L,), `group` that of each player's steps (k, L), `player` its column (k, L),
    `passes` the background rows that it lets pass (k, L), as bits.
    """

    edge: np.ndarray
    group: np.ndarray
    player: np.ndarray
    passes: np.ndarray


class TreeShares:
    """A tree ensemble, ready to be explained against a background.

    Args:
        trees: the ensemble.
        owner: the column that each feature of the matrix stems from, as its place among `columns`, (width,).
        columns: how many columns there are.
        background: the matrix of the background rows, float32 (n, width), 1 to 64 rows.
        table: what the leaves say, (rows, targets), where their weights are but rows of this table.
    """

    def __init__(
        self,
        trees: TreeArrays,
        owner: np.ndarray,
        columns: int,
        background: np.ndarray,
        table: np.ndarray | None = None,
    ) -> None:
        if not 1 <= len(background) <= MOST_BACKGROUND:
            raise ValueError(f"a background has 1 to {MOST_BACKGROUND} rows, got {len(background)}")
        self._trees = trees
        self._table = table
        self._columns = columns
        self._rows = len(background)
        self._member = _Membership(trees)
        paths = _Paths.of(trees, owner)
        self._paths = paths
        node_masks = _packed(self.conditions(background))
        passed = np.where(paths.true, node_masks[paths.node], ~node_masks[paths.node])
        self._passes = np.bitwise_and.reduceat(passed, paths.start)  # (G,)
        self._full = np.uint64((1 << self._rows) - 1) if self._rows < 64 else ~np.uint64(0)
        self._bundles = list(self._bundled(paths.players, self._passes & self._full))

    def conditions(self, x: np.ndarray) -> np.ndarray:
        """Whether rows x, float32 (n, width), go to the true side of each node: bool (N, n)."""
        trees = self._trees
        values = np.ascontiguousarray(x.T)[trees.feature]  # (N, n)
        split, mode = trees.split[:, None], trees.mode
        held = values <= split
        for kind, compare in _COMPARE.items():
            some = mode == kind
            if kind != LESS_OR_EQUAL and some.any():
                held[some] = compare(values[some], split[some])
        self._member.fill(held, values)
        missing = np.isnan(values)
        held[missing] = np.broadcast_to(trees.missing_true[:, None], held.shape)[missing]
        return np.asarray(held)

    def base(self, coefficients: np.ndarray) -> float:
        """The mean over the background of the targets, weighted by `coefficients` (targets,)."""
        whole = np.bitwise_and.reduceat(self._passes & self._full, self._paths.first)
        counts = np.bitwise_count(whole).astype(np.float64)
        return float((counts * self._weights(coefficients)).sum() / self._rows)

    def output(self, x: np.ndarray, coefficients: np.ndarray) -> float:
        """The targets of one row, float32 (1, width), weighted by `coefficients`."""
        reached = np.logical_and.reduceat(self._row_passes(x), self._paths.first)
        return float((reached * self._weights(coefficients)).sum())

    def shares(self, x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """What each column adds to the weighted targets of one row, float32 (1, width): (columns,).

        Together they are exactly `output` minus `base`.
        """
        passes, weights = self._row_passes(x), self._weights(coefficients) / self._rows
        found = np.zeros(self._columns)
        for bundle in self._bundles:
            for start in range(0, len(bundle.edge), _BLOCK):
                part = slice(start, start + _BLOCK)
                own, weight = passes[bundle.group[:, part]], weights[bundle.edge[part]]
                shares, kept = _shares(own, bundle.passes[:, part], self._full, weight)
                player = bundle.player[:, part][:, kept]
                found += np.bincount(player.ravel(), shares.ravel(), self._columns)
        return found

    def _weights(self, coefficients: np.ndarray) -> np.ndarray:
        leaf = self._paths.leaf
        if self._table is not None:
            said = self._table.astype(np.float64) @ coefficients
            return np.asarray(said[self._trees.leaf_weight[leaf].astype(np.int64)])
        out: np.ndarray = self._trees.leaf_weight[leaf] * coefficients[self._trees.leaf_target[leaf]]
        return out

    def _row_passes(self, x: np.ndarray) -> np.ndarray:
        """Which players of which paths the row satisfies: bool (G,)."""
        held = self.conditions(x)[:, 0]
        out: np.ndarray = np.logical_and.reduceat(held[self._paths.node] == self._paths.true, self._paths.start)
        return out

    def _bundled(self, players: np.ndarray, passes: np.ndarray) -> Iterator[_Bundle]:
        first = self._paths.first
        sizes = np.diff(np.append(first, len(players)))
        for k in np.unique(sizes):
            edge = np.flatnonzero(sizes == k)
            group = (first[edge][None, :] + np.arange(k)[:, None]).astype(np.int32)
            yield _Bundle(edge, group, players[group], passes[group])


_COMPARE = {
    LESS_OR_EQUAL: np.less_equal,
    LESS: np.less,
    GREATER_OR_EQUAL: np.greater_equal,
    GREATER: np.greater,
    EQUAL: np.equal,
    NOT_EQUAL: np.not_equal,
}


class _Membership:
    """Which values the membership nodes hold, as a table where they are codes of categories."""

    def __init__(self, trees: TreeArrays) -> None:
        self._nodes = np.flatnonzero(trees.mode == MEMBER)
        size = 1 + int(max((m.max() for m in trees.members if len(m)), default=0))
        self._table = np.zeros((len(self._nodes), size + 1), dtype=bool)  # the last column holds for no value
        for place, members in enumerate(trees.members):
            self._table[place, members.astype(np.int64)] = True

    def fill(self, held: np.ndarray, values: np.ndarray) -> None:
        """Write the answers of the membership nodes into `held` (N, n)."""
        if not len(self._nodes):
            return
        last = self._table.shape[1] - 1
        codes = values[self._nodes]
        known = (codes >= 0) & (codes < last) & (codes == np.floor(codes))
        code = np.where(known, np.nan_to_num(codes), last).astype(np.int64)
        held[self._nodes] = np.take_along_axis(self._table, code, axis=1)


@dataclass(frozen=True)
class _Paths:
    """The ways to all leaves, flat: steps, grouped by leaf and within it by player.

    A step passes `node` (S,) on its true side where `true` (S,). `start` (G,) is where each group's steps begin,
    `players` (G,) its player, `first` (E,) the first group of each leaf, `leaf` (E,) the leaf's number.
    """

    node: np.ndarray
    true: np.ndarray
    start: np.ndarray
    players: np.ndarray
    first: np.ndarray
    leaf: np.ndarray

    @staticmethod
    def of(trees: TreeArrays, owner: np.ndarray) -> _Paths:
        parent, came = _parents(trees)
        at_true, at_false = np.flatnonzero(trees.true_leaf), np.flatnonzero(trees.false_leaf)
        node = np.concatenate([at_true, at_false])
        side = np.concatenate([np.ones(len(at_true), bool), np.zeros(len(at_false), bool)])
        leaf = np.concatenate([trees.true_id[at_true], trees.false_id[at_false]])
        edge = np.arange(len(node))
        steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        while len(node):
            steps.append((edge, node, side))
            up = parent[node] >= 0
            edge, side, node = edge[up], came[node[up]], parent[node[up]]
        edges, nodes, sides = (np.concatenate([step[i] for step in steps]) for i in range(3))
        player = owner[trees.feature[nodes]]
        order = np.lexsort((player, edges))
        edges, player = edges[order], player[order]
        new = np.append(True, (np.diff(edges) != 0) | (np.diff(player) != 0))
        start = np.flatnonzero(new)
        first = np.flatnonzero(np.append(True, np.diff(edges[start]) != 0))
        return _Paths(nodes[order].astype(np.int32), sides[order], start, player[start].astype(np.int32), first, leaf)


def _parents(trees: TreeArrays) -> tuple[np.ndarray, np.ndarray]:
    """The parent of each node, -1 for roots, and whether it is the parent's true child."""
    parent = np.full(len(trees.feature), -1)
    came = np.zeros(len(trees.feature), dtype=bool)
    for child, is_leaf, side in (
        (trees.true_id, trees.true_leaf, True),
        (trees.false_id, trees.false_leaf, False),
    ):
        inner = np.flatnonzero(~is_leaf)
        parent[child[inner]], came[child[inner]] = inner, side
    return parent, came


def _packed(held: np.ndarray) -> np.ndarray:
    """Bits (N,) uint64 of answers (N, n), the first row's lowest."""
    wide = np.zeros((len(held), MOST_BACKGROUND), dtype=bool)
    wide[:, : held.shape[1]] = held
    out: np.ndarray = np.packbits(wide, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64)
    return out


def _shares(own: np.ndarray, passes: np.ndarray, full: np.uint64, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each player gets from each leaf, (k, kept), and which leaves are reached by any mixture, (L,) bool.

    `own` (k, L) tells whether the row passes, `passes` (k, L) which background rows do.
    """
    alive = np.bitwise_and.reduce(np.where(own, full, passes), axis=0)
    kept = alive != 0
    own, passes, alive, weight = own[:, kept], passes[:, kept], alive[kept], weight[kept]
    k = len(own)
    misses = np.where(own, ~passes & full, np.uint64(0))  # background rows that only the row's own value lets pass
    having = np.zeros((k + 1, len(alive)), dtype=np.uint64)  # having[c]: rows with c players of the row alone
    having[0] = alive
    for j in range(k):
        miss = misses[j]
        moved = having[: j + 1] & miss
        having[: j + 1] &= ~miss
        having[1 : j + 2] |= moved
    other = (~own).sum(axis=0)  # players of the background alone
    for_row, for_background = _weights_of(k)
    plus = for_row[:, other] * weight  # (k + 1, kept)
    minus = (np.bitwise_count(having) * for_background[:, other]).sum(axis=0) * weight
    shares = np.empty((k, len(alive)))
    for j in range(k):
        gain = (np.bitwise_count(having & misses[j]) * plus).sum(axis=0)
        shares[j] = np.where(own[j], gain, -minus)
    return shares, kept


def _weights_of(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Shapley's weights by how many players stand for the row alone and for the background alone, (k+1, k+1)."""
    row, background = np.zeros((k + 1, k + 1)), np.zeros((k + 1, k + 1))
    for a in range(k + 1):
        for b in range(k + 1 - a):
            if a:
                row[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                background[a, b] = factorial(a) * factorial(b - 1) / factorial(a + b)
    return row, background


class LinearShares:
    """A linear map, ready to be explained against a background; arguments as for `TreeShares`.

    Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, 2017, corollary 1.
    """

    def __init__(self, affine: Affine, owner: np.ndarray, columns: int, background: np.ndarray) -> None:
        self._affine = affine
        self._owner = owner
        self._columns = columns
        self._mean = background.astype(np.float64).mean(axis=0)

    def base(self, coefficients: np.ndarray) -> float:
        return float((self._mean @ self._affine.weights + self._affine.bias) @ coefficients)

    def output(self, x: np.ndarray, coefficients: np.ndarray) -> float:
        return float((x[0].astype(np.float64) @ self._affine.weights + self._affine.bias) @ coefficients)

    def shares(self, x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        parts = (x[0].astype(np.float64) - self._mean) * (self._affine.weights @ coefficients)
        return np.bincount(self._owner, parts, self._columns)


def used_features(model: TreeArrays | Affine) -> np.ndarray:
    """The features that a model looks at."""
    return np.unique(model.feature) if isinstance(model, TreeArrays) else np.flatnonzero(model.weights.any(axis=1))
