"""A map on which pictures that a network holds alike lie close together."""

from __future__ import annotations

import numpy as np

COMPONENTS = 30
PERPLEXITY = 30.0


def mapped(features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Places (n, 2) of features (n, width): by their two main directions (PCA), and by neighbours (t-SNE)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    spread = features.std(axis=0)
    x = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    count = min(COMPONENTS, *x.shape)
    main = PCA(count, random_state=seed).fit_transform(x)
    found = {"PCA": _two(main)}
    if len(x) >= 20:
        near = TSNE(2, perplexity=min(PERPLEXITY, len(x) / 4), init="pca", random_state=seed, n_jobs=1)
        found["t-SNE"] = np.asarray(near.fit_transform(main))
    return found


def _two(x: np.ndarray) -> np.ndarray:
    return x[:, :2] if x.shape[1] > 1 else np.column_stack([x[:, 0], np.zeros(len(x))])
