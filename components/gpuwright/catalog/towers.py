"""The size of a vision tower, from the ``vision_config`` of a model that also reads images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def vision_params(config: Mapping[str, Any], hidden_size: int) -> int:
    """Return the parameters of the vision tower with its projection into the model, 0 where there is none.

    Each layer has four projections as wide as the tower and an MLP of two or, where it is gated, three. Good to a
    few per cent: 420 million in Gemma 3, where the published count says 420. Source: transformers' modeling files.

    Args:
        config: The whole config.json.
        hidden_size: Width of the language model.
    """
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return 0

    def number(*names: str) -> int:
        return next((each for each in (vision.get(name) for name in names) if isinstance(each, int)), 0)

    width = number("embed_dim", "vt_hidden_size", "hidden_size")
    inner = number("intermediate_size", "vt_intermediate_size") or 4 * width
    layers = number("depth", "num_hidden_layers", "vt_num_hidden_layers") + number("num_global_layers")
    gated = vision.get("hidden_act") == "silu"
    patch, merge = number("patch_size") or 14, number("spatial_merge_size") or 1
    layer = 4 * width * width + (3 if gated else 2) * width * inner + 9 * width + inner
    merged = width * merge * merge
    projector = merged * merged + merged * hidden_size if merge > 1 else width * hidden_size
    images = number("image_size")
    positions = (images // patch) ** 2 * width if images else number("num_position_embeddings") * width
    patches = 3 * patch * patch * (number("temporal_patch_size") or 1) * width
    return layers * layer + patches + positions + projector
