"""Where a network looks: which places of a picture speak for its answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.evaluate.pictures.network import PictureNetwork

STEPS = 24
"""Pictures on the way from grey to the picture itself."""


def grad_cam(network: PictureNetwork, pixels: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray | None:
    """How much each place speaks for the answer, (n, height, width) in [0, 1]; None for networks without maps.

    Source: Selvaraju et al., Grad-CAM (ICCV 2017).
    """
    import torch
    from torch.nn import functional

    given = [torch.from_numpy(np.ascontiguousarray(x)) for x in (pixels, *others)]
    name = network.last_map(given)
    if name is None:
        return None
    given[0] = given[0].float().requires_grad_(True)
    played = network.replay.played(given, (name, network.replay.output))
    maps, said = played[name], played[network.replay.output]
    if maps.ndim != 4:
        return None
    (slope,) = torch.autograd.grad(said.max(dim=1).values.sum(), maps)
    weights = slope.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * maps.detach()).sum(dim=1, keepdim=True))[: len(pixels)]
    wide = functional.interpolate(heat, pixels.shape[1:3], mode="bilinear", align_corners=False)[:, 0]
    top = wide.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    found: np.ndarray = (wide / top).numpy()
    return found


def integrated_gradients(network: PictureNetwork, pixels: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray:
    """What each pixel adds to the answer on the way from a grey picture, (n, height, width), against or for it.

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks (ICML 2017); reckoned by captum.
    """
    import torch
    from captum.attr import IntegratedGradients

    given = [torch.from_numpy(np.ascontiguousarray(x)) for x in (pixels, *others)]
    x = given[0].float()
    with torch.no_grad():
        answer = network.margins(x, given[1:]).argmax(dim=1)
    way = IntegratedGradients(lambda pictures, *more: network.margins(pictures, more))
    beside = tuple(given[1:])
    found = way.attribute(
        x,
        baselines=torch.full_like(x, 128.0),
        target=answer if network.margins(x[:1], [v[:1] for v in beside]).shape[1] > 1 else 0,
        additional_forward_args=beside or None,
        n_steps=STEPS,
        internal_batch_size=64,
    )
    added: np.ndarray = found.detach().sum(dim=3).numpy()
    return added


def overlaid(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, height, width, 3) in grey, warm where `heat` in [0, 1] is high."""
    grey = pixels.mean(axis=3, keepdims=True) * 0.6
    warm = np.stack([heat, 0.45 * heat**2, np.zeros_like(heat)], axis=3) * 255.0
    return np.asarray(np.clip(grey + 0.75 * warm, 0, 255).astype(np.uint8))


def signed(heat: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, height, width, 3) of what speaks for an answer (red) and against it (blue)."""
    top = np.quantile(np.abs(heat), 0.995, axis=(1, 2), keepdims=True) + 1e-12
    part = np.clip(heat / top, -1, 1)
    white = 1.0 - np.abs(part)
    colours = np.stack([np.where(part > 0, 1.0, white), white, np.where(part < 0, 1.0, white)], axis=3)
    return np.asarray((255 * colours).astype(np.uint8))
