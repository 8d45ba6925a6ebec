"""Layers that mix tokens without attention: Mamba 2 and linear attention, with the state that each sequence keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

FULL = "full_attention"


class Reader(Protocol):
    """What is read from a configuration; a missing or wrong number becomes a fault of it."""

    def get(self, *names: str) -> Any:
        """Return the first of the named values that is there, or none."""

    def maybe(self, *names: str) -> int | None:
        """Return the first of the named numbers, or none."""

    def need(self, *names: str) -> int:
        """Return the first of the named numbers, above zero."""

    def items(self, name: str) -> list[Any]:
        """Return the named list, or an empty one."""


@dataclass(frozen=True)
class Mixers:
    """How a model's layers mix tokens.

    Args:
        attention: Layers with attention.
        mlp: Layers with a dense MLP, where the configuration names them one by one; none: all that have no experts.
        experts: Layers with experts, likewise.
        params: Parameters of the layers' mixers without attention, all added.
        state_bytes: What they keep of one sequence, bytes.
    """

    attention: int
    mlp: int | None = None
    experts: int | None = None
    params: int = 0
    state_bytes: int = 0


def linear_attention(reader: Reader, layers: int, hidden: int) -> Mixers:
    """Return the mixers of a model with gated delta networks beside full attention, such as Qwen3-Next.

    A layer keeps a matrix for each value head and the last inputs of its convolution. For Qwen3.5 27B these are
    3,207,168 bytes, which vLLM pads by 0.13 % to a block of 1,568 tokens (noonghunna/club-3090#1047).
    """
    kinds = reader.items("layer_types")
    full = kinds.count(FULL) if kinds else layers // reader.need("full_attention_interval")
    keys = reader.need("linear_num_key_heads") * reader.need("linear_key_head_dim")
    heads, width = reader.need("linear_num_value_heads"), reader.need("linear_value_head_dim")
    values, kernel = heads * width, reader.need("linear_conv_kernel_dim")
    channels = 2 * keys + values
    params = (
        hidden * (channels + values + 2 * heads) + channels * kernel + 2 * heads + width + values * hidden
    )
    number = 4 if reader.get("mamba_ssm_dtype") == "float32" else 2
    state = heads * width * reader.need("linear_key_head_dim") * number + channels * (kernel - 1) * 2
    return Mixers(attention=full, params=(layers - full) * params, state_bytes=(layers - full) * state)


def mamba_pattern(reader: Reader, layers: int, hidden: int) -> Mixers:
    """Return the mixers of a model whose layers a pattern names, such as Nemotron-H: M Mamba 2, * attention, - MLP, E
    experts; each layer has one of them.
    """
    pattern = str(reader.get("hybrid_override_pattern") or "*" * layers)
    heads, groups = reader.need("mamba_num_heads"), reader.need("n_groups", "mamba_n_groups")
    width, size = reader.need("mamba_head_dim"), reader.need("ssm_state_size")
    inner, kernel = heads * width, reader.need("conv_kernel")
    channels = inner + 2 * groups * size
    params = (
        hidden * (inner + channels + heads) + channels * (kernel + 1) + 3 * heads + inner + inner * hidden
    )
    number = 4 if reader.get("mamba_ssm_cache_dtype") == "float32" else 2
    state = heads * width * size * number + channels * (kernel - 1) * 2
    mamba = pattern.count("M")
    return Mixers(
        attention=pattern.count("*"),
        mlp=pattern.count("-"),
        experts=pattern.count("E"),
        params=mamba * params,
        state_bytes=mamba * state,
    )
