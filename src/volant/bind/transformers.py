"""Pretrained networks for pictures by transformers: weights from safetensors alone, never code from a repository."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volant.errors import BadInput

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures of ImageNet, in [0, 1]: what networks expect that do not say otherwise."""
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Pretrained:
    """A network with its weights, and what it wants pictures to be like."""

    model: Any
    mean: tuple[float, ...]
    spread: tuple[float, ...]


def side_of(source: str) -> int:
    """Pixels of a side of the pictures that a network was trained on.

    Raises:
        BadInput: code `source-missing`.
    """
    with _reading(source) as transformers:
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
    size = getattr(config, "image_size", 224)
    return int(size[0] if isinstance(size, list | tuple) else size)


def pretrained(source: str) -> Pretrained:
    """The network in a local folder, or of a hub id: the hub that transformers is set to, or what it has cached.

    Raises:
        BadInput: code `source-missing`: there is none, it has no weights as safetensors, or it needs code of its own.
    """
    with _reading(source) as transformers:
        model = transformers.AutoModel.from_pretrained(source, trust_remote_code=False, use_safetensors=True)
        told = _told(transformers, source)
    mean, spread = (tuple(told.get(name) or usual) for name, usual in (("image_mean", MEAN), ("image_std", SPREAD)))
    return Pretrained(model.float(), mean, spread)


def write_example(folder: Path, kind: str = "vit") -> None:
    """A tiny network of a kind (`vit`, `convnext`, `dinov2`), always the same, to try things."""
    import torch
    import transformers

    common = {"image_size": 16, "num_channels": 3}
    tokens = {"patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    kinds = {
        "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**common, **tokens, intermediate_size=32)),
        "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**common, **tokens, mlp_ratio=2)),
        "convnext": lambda: transformers.ConvNextModel(
            transformers.ConvNextConfig(**common, patch_size=2, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
        ),
    }
    with _LOADING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kinds[kind]().save_pretrained(folder, safe_serialization=True)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')


def _told(transformers: Any, source: str) -> dict[str, Any]:
    """What the file beside the weights says of how pictures are prepared; nothing where there is none."""
    try:
        found = transformers.image_processing_utils.BaseImageProcessor.get_image_processor_dict(source)
    except (OSError, ValueError):
        return {}
    return dict(found[0])


@contextmanager
def _reading(source: str) -> Iterator[Any]:
    with _LOADING, warnings.catch_warnings():
        import transformers  # one thread at a time: it puts another module in its place while it is imported

        warnings.simplefilter("ignore")
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        try:
            yield transformers
        except (OSError, ValueError, KeyError, ImportError) as cause:
            raise BadInput(
                "a pretrained network cannot be opened",
                code="source-missing",
                where="volant.toml, train.options.backbone.source",
                got=f"{'the folder' if Path(source).exists() else 'the name'} {Path(source).name}",
                fix="give a folder with config.json and model.safetensors, or the id of such a network on the hub; "
                "networks that bring code of their own are not opened",
            ) from cause


def with_adapters(model: Any, rank: int) -> Any:
    """The network frozen, with trainable low-rank additions to its linear layers (LoRA).

    Source: Hu et al., LoRA (ICLR 2022).
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The network with its adapters added to its weights."""
    return model.merge_and_unload()
