"""A model with everything that sizing needs of it, nothing left open."""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Model
from gpuwright.errors import InputError


@dataclass(frozen=True)
class Decoder:
    """A text-generation model.

    Args:
        id: Its id, for messages.
        params_total: All parameters.
        params_active: Parameters that one token is multiplied with.
        layers: Layers.
        hidden_size: Width of the residual stream.
        attention_heads: Query heads of a layer.
        vocab_size: Rows of the embedding.
        mlp_width: Width of what one token activates in an MLP or in its experts.
        tied_embeddings: Whether input and output embedding are one.
        cached_per_layer: Numbers that one layer caches for one token.
        kv_heads: Heads that the KV cache divides by; 1 where it cannot be divided.
        sliding_window: Tokens that the sliding layers keep; 0 where there are none.
        sliding_layers: Layers that see the sliding window only.
        experts: Routed experts of a layer; 0 where it is dense.
        experts_per_token: Routed experts that a token uses.
        dtype: Type of the published weights.
        quantization: Method that the published weights are quantized with.
        weights_bytes: Published size of the weights, bytes; 0 where unknown.
        cache_layers: Layers that cache something for each token.
        sliding_cached_per_layer: Numbers that a sliding layer caches for one token.
        state_bytes: What the layers without attention keep of one sequence, whatever its length.
        vision_params: Parameters of the vision tower, which is not quantized.
        expert_params: Parameters of all routed experts.
        expert_width: Width of one expert.
        max_position: Longest context that the model was trained for, tokens; 0 where unknown.
    """

    id: str
    params_total: int
    params_active: int
    layers: int
    hidden_size: int
    attention_heads: int
    vocab_size: int
    mlp_width: int
    tied_embeddings: bool
    cached_per_layer: int
    kv_heads: int
    sliding_window: int
    sliding_layers: int
    experts: int
    experts_per_token: int
    dtype: str | None
    quantization: str | None
    weights_bytes: int
    cache_layers: int
    sliding_cached_per_layer: int
    state_bytes: int = 0
    vision_params: int = 0
    expert_params: int = 0
    expert_width: int = 0
    max_position: int = 0

    @property
    def embedding_params(self) -> int:
        """Parameters of input embedding and output head, once where they are one."""
        return self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)


NEEDED = ("params_total", "layers", "hidden_size", "attention_heads", "vocab_size")


def decoder(model: Model, where: str = "") -> Decoder:
    """Return the model as a decoder.

    Args:
        where: Place of the model's name in an input, for the error.

    Raises:
        InputError: It is no decoder, or its row lacks what sizing needs; the error names what.
    """
    values = {name: getattr(model, name) or 0 for name in NEEDED}
    missing = [name for name, value in values.items() if not value]
    if not model.kv_lora_rank:
        missing += [name for name in ("kv_heads", "head_dim") if not getattr(model, name)]
    if model.kind != "decoder" or missing:
        what = f"is a {model.kind} model" if model.kind != "decoder" else f"has no {', '.join(missing)}"
        raise InputError.of(
            where or f"model {model.id}",
            f"{model.id} {what} in the catalog, and sizing needs a decoder's layers, heads and parameters.",
            "Choose a text-generation model, or give the path of its config.json as `model`.",
        )
    return Decoder(
        id=model.id,
        params_active=model.params_active or values["params_total"],
        mlp_width=_mlp_width(model, values["hidden_size"]),
        tied_embeddings=bool(model.tied_embeddings),
        cached_per_layer=_cached_per_layer(model),
        kv_heads=1 if model.kv_lora_rank else model.kv_heads or 1,
        sliding_window=model.sliding_window or 0,
        sliding_layers=model.sliding_layers,
        experts=model.experts or 0,
        experts_per_token=model.experts_per_token or 0,
        dtype=model.dtype,
        quantization=model.quantization,
        weights_bytes=model.weights_bytes or 0,
        cache_layers=values["layers"] if model.attention_layers is None else model.attention_layers,
        sliding_cached_per_layer=_sliding_cached_per_layer(model),
        state_bytes=model.state_bytes or 0,
        vision_params=model.vision_params or 0,
        expert_params=_expert_params(model, values["hidden_size"]),
        expert_width=model.moe_intermediate_size or 0,
        max_position=model.max_position or 0,
        **values,
    )


def _mlp_width(model: Model, hidden_size: int) -> int:
    dense = model.intermediate_size or 4 * hidden_size
    return max(dense, (model.moe_intermediate_size or 0) * (model.experts_per_token or 1))


def _cached_per_layer(model: Model) -> int:
    """Return keys and values of every KV head (arXiv 1911.02150), or the latent and its rotary part (arXiv
    2405.04434).
    """
    if model.kv_lora_rank:
        return model.kv_lora_rank + (model.qk_rope_head_dim or 0)
    return 2 * (model.kv_heads or 0) * (model.head_dim or 0)


def _sliding_cached_per_layer(model: Model) -> int:
    if model.sliding_kv_heads is None and model.sliding_head_dim is None:
        return _cached_per_layer(model)
    return (
        2 * (model.sliding_kv_heads or model.kv_heads or 0) * (model.sliding_head_dim or model.head_dim or 0)
    )


def _expert_params(model: Model, hidden_size: int) -> int:
    """Return the parameters of all routed experts: what no token of itself passes through, and no more than gate, up
    and down projection of each, since some architectures have no gate.
    """
    if not model.experts:
        return 0
    width = model.moe_intermediate_size or model.intermediate_size or 0
    gated = ((model.layers or 0) - model.dense_layers) * model.experts * 3 * hidden_size * width
    unused = (model.params_total or 0) - (model.vision_params or 0) - (model.params_active or 0)
    return min(gated, round(unused / (1 - (model.experts_per_token or 0) / model.experts)))
