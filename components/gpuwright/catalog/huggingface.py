"""A model's row from its Hugging Face ``config.json``, for models that the catalog does not have.

The number of parameters is computed from the layers that the architecture builds, as transformers' modeling
files define them: embeddings, attention or what stands in its place, MLP or experts, norms and biases, and a vision
tower. What else a checkpoint may hold (a multi-token-prediction module, quantization scales) is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from gpuwright.catalog.mixers import Mixers, linear_attention, mamba_pattern
from gpuwright.catalog.models import Attention, Dtype, Model
from gpuwright.catalog.towers import vision_params
from gpuwright.errors import Fault, InputError

DTYPES: Mapping[str, Dtype] = MappingProxyType({"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"})
QUANTIZED_DTYPES: Mapping[str, Dtype] = MappingProxyType({"fp8": "fp8", "mxfp4": "mxfp4"})

Bias = Literal["none", "qkv", "all"]


@dataclass(frozen=True)
class _Family:
    """How the models of one ``model_type`` are built, where a configuration does not say it."""

    tied: bool = False
    """Default of tie_word_embeddings."""
    gated_mlp: bool = True
    mlp_bias: bool = False
    attention_bias: Bias = "none"
    """Biases of the attention's projections; "none" obeys the configuration's attention_bias."""
    qk_norm: bool = False
    sinks: bool = False
    norms: int = 2
    """Norms of a layer that are as wide as the model."""
    norm_bias: bool = False
    router_bias: bool = False
    head_bias: bool = False
    learned_positions: int | None = None
    """Learned position embeddings beyond max_position; none: positions are not learned."""
    sliding: Literal["never", "always", "alternating", "pattern", "upper"] = "never"
    """Which layers slide: all; every other; all but each n-th (sliding_window_pattern); those from
    max_window_layers up."""
    mixers: Literal["attention", "linear", "pattern"] = "attention"
    """What mixes tokens: attention in all layers; gated delta networks in most; what hybrid_override_pattern says."""
    gated_attention: bool = False
    """Whether the query's projection has a gate of the same width."""
    latent: bool = False
    """Whether keys and values are cached as one latent (MLA)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Keys that a configuration may leave out, with the value that the architecture takes then."""


_GEMMA3_DEFAULTS = MappingProxyType(
    {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
    }
)
_GEMMA3 = _Family(tied=True, norms=4, qk_norm=True, sliding="pattern", defaults=_GEMMA3_DEFAULTS)
_QWEN3 = _Family(qk_norm=True, sliding="upper")
_GEMMA4 = _Family(tied=True, norms=4, qk_norm=True, sliding="pattern", defaults={"sliding_window": 1024})
_QWEN3_LINEAR = _Family(qk_norm=True, mixers="linear", gated_attention=True)
_QWEN2 = _Family(attention_bias="qkv", sliding="upper")
_LATENT = _Family(latent=True, router_bias=True)
_MISTRAL = _Family(sliding="always")

FAMILIES: Mapping[str, _Family] = MappingProxyType(
    {
        "deepseek_v2": _Family(latent=True),
        "deepseek_v3": _LATENT,
        "deepseek_v32": _LATENT,
        "falcon": _Family(tied=True, gated_mlp=False, norms=1, norm_bias=True),
        "gemma": _Family(tied=True),
        "gemma2": _Family(tied=True, norms=4, sliding="alternating", defaults={"sliding_window": 4096}),
        "gemma3": _GEMMA3,
        "gemma3_text": _GEMMA3,
        "gemma4": _GEMMA4,
        "gemma4_text": _GEMMA4,
        "glm4_moe": _Family(router_bias=True),
        "glm_moe_dsa": _LATENT,
        "gpt_oss": _Family(
            attention_bias="all", mlp_bias=True, sinks=True, router_bias=True, sliding="alternating"
        ),
        "gptj": _Family(gated_mlp=False, mlp_bias=True, norms=1, norm_bias=True, head_bias=True),
        "kimi_k2": _LATENT,
        "llama": _Family(),
        "minimax_m2": _Family(router_bias=True),
        "mistral": _MISTRAL,
        "mistral3": _MISTRAL,
        "mixtral": _MISTRAL,
        "nemotron_h": _Family(gated_mlp=False, norms=1, mixers="pattern", router_bias=True),
        "opt": _Family(
            tied=True,
            gated_mlp=False,
            mlp_bias=True,
            attention_bias="all",
            norm_bias=True,
            learned_positions=2,
        ),
        "phi3": _Family(sliding="always"),
        "qwen2": _QWEN2,
        "qwen2_5_vl": _QWEN2,
        "qwen2_5_vl_text": _QWEN2,
        "qwen2_vl": _QWEN2,
        "qwen2_vl_text": _QWEN2,
        "qwen3": _QWEN3,
        "qwen3_5": _QWEN3_LINEAR,
        "qwen3_5_moe": _QWEN3_LINEAR,
        "qwen3_5_moe_text": _QWEN3_LINEAR,
        "qwen3_5_text": _QWEN3_LINEAR,
        "qwen3_moe": _QWEN3,
        "qwen3_next": _QWEN3_LINEAR,
        "qwen3_vl": _QWEN3,
        "qwen3_vl_moe": _QWEN3,
        "qwen3_vl_moe_text": _QWEN3,
        "qwen3_vl_text": _QWEN3,
    }
)
"""The architectures whose layers this module knows, by ``model_type``."""


class _Reader:
    """Reads a configuration and collects every fault of it."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.faults: list[Fault] = []
        self.where = where
        nested = config.get("text_config")
        inner = nested if isinstance(nested, Mapping) else {}
        model_type = inner.get("model_type", config.get("model_type"))
        self.family_name = model_type if isinstance(model_type, str) else ""
        self.family = FAMILIES.get(self.family_name, _Family())
        self._config = {**self.family.defaults, **config, **inner}

    def fault(self, key: str, problem: str, fix: str) -> None:
        """Note a fault of that key."""
        self.faults.append(Fault(f"{self.where}: {key}", problem, fix))

    def get(self, *names: str) -> Any:
        """Return the first of the named values that is there, or none."""
        return next((self._config[name] for name in names if self._config.get(name) is not None), None)

    def maybe(self, *names: str) -> int | None:
        """Return the first of the named numbers, or none where there is none."""
        value = self.get(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.fault(
                names[0], f"is {value!r}, and must be a whole number.", "Take config.json as it is published."
            )
            return None
        return value

    def need(self, *names: str) -> int:
        """Return the first of the named numbers, above zero, or note a fault and return 1."""
        value = self.maybe(*names)
        if value is None and self.get(*names) is None:
            self.fault(
                names[0], "is missing.", f"Give the complete config.json of a {self.family_name} model."
            )
        elif value == 0:
            self.fault(names[0], "is 0, and must be above it.", "Take config.json as it is published.")
        return value or 1

    def items(self, name: str) -> list[Any]:
        """Return the named list, or an empty one where there is none."""
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            self.fault(name, f"is {value!r}, and must be a list.", "Take config.json as it is published.")
        return value if isinstance(value, list) else []

    def flag(self, name: str, default: bool = False) -> bool:
        """Return the named switch."""
        value = self.get(name)
        return default if value is None else bool(value)


@dataclass(frozen=True)
class _Shape:
    """The numbers that a model's size follows from."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    intermediate: int
    max_position: int
    sliding_kv_heads: int | None = None
    sliding_head_dim: int | None = None
    """Of the sliding layers, where they are not those of the full ones."""


@dataclass(frozen=True)
class _Experts:
    """The mixture of experts; ``total`` is 0 in a dense model."""

    total: int = 0
    per_token: int = 0
    shared: int = 0
    width: int = 0
    layers: int = 0
    shared_width: int = 0
    """Width of the shared experts, where it is given and not that of the routed ones times their number."""
    shared_gate: bool = False
    """Whether the shared expert's output is gated by a projection to one number."""


@dataclass(frozen=True)
class _Latent:
    """The ranks and widths of multi-head latent attention."""

    kv_rank: int
    q_rank: int | None
    rope: int
    nope: int
    value: int


def model_from_config(config: Mapping[str, Any], id: str) -> Model:  # noqa: A002  # Hugging Face's name
    """Return the row of the decoder model that a ``config.json`` describes.

    Args:
        config: The parsed file; a nested ``text_config`` is what counts.
        id: The model's id or the file's path, which becomes the row's id and leads every fault.

    Raises:
        InputError: With every fault: no mapping, an architecture that is not known, keys that are missing.
    """
    if not isinstance(config, Mapping):
        problem = f"holds a {type(config).__name__}, and a model's config.json is a mapping."
        raise InputError.of(id, problem, "Give the config.json that lies beside the weights.")
    reader = _Reader(config, id)
    _check_kind(reader)
    shape = _shape(reader)
    mixers = _mixers(reader, shape)
    experts, latent = _experts(reader, shape, mixers), _latent(reader)
    window, sliding_layers = _sliding(reader, shape)
    tied = reader.flag("tie_word_embeddings", reader.family.tied)
    if reader.faults:
        raise InputError(reader.faults)
    total, active = _parameters(reader, shape, experts, latent, tied, mixers, sliding_layers)
    vision = vision_params(config, shape.hidden)
    dtype, quantization = _number_format(reader)
    return Model(
        id=id,
        kind="decoder",
        model_type=reader.family_name,
        params_total=total + vision,
        params_active=active,
        vision_params=vision or None,
        layers=shape.layers,
        hidden_size=shape.hidden,
        attention_heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=None if latent else shape.head_dim,
        vocab_size=shape.vocab,
        intermediate_size=shape.intermediate,
        moe_intermediate_size=experts.width or None,
        max_position=shape.max_position,
        attention=_attention(shape, latent, sliding_layers, mixers),
        sliding_window=window,
        sliding_layers=sliding_layers,
        sliding_kv_heads=shape.sliding_kv_heads,
        sliding_head_dim=shape.sliding_head_dim,
        attention_layers=None if mixers.attention == shape.layers else mixers.attention,
        state_bytes=mixers.state_bytes or None,
        kv_lora_rank=latent.kv_rank if latent else None,
        qk_rope_head_dim=latent.rope if latent else None,
        dtype=dtype,
        quantization=quantization,
        experts=experts.total or None,
        experts_per_token=experts.per_token or None,
        shared_experts=experts.shared or None,
        dense_layers=shape.layers - experts.layers if experts.total else 0,
        tied_embeddings=tied,
        source=f"config.json of {id}; parameters computed from it",
    )


def _check_kind(reader: _Reader) -> None:
    """Raise at once where the architecture is not known: its keys cannot be judged then."""
    known = ", ".join(FAMILIES)
    if reader.get("is_encoder_decoder") is True:
        problem = "is true, and only decoder models can be served here."
        raise InputError.of(f"{reader.where}: is_encoder_decoder", problem, f"Choose a model of: {known}.")
    if reader.family_name not in FAMILIES:
        given = f"is {reader.family_name!r}" if reader.family_name else "is missing"
        problem = f"{given}, and is no decoder architecture whose layers are known."
        raise InputError.of(f"{reader.where}: model_type", problem, f"Choose a model of: {known}.")


def _shape(reader: _Reader) -> _Shape:
    hidden = reader.need("hidden_size", "n_embd")
    heads = reader.need("num_attention_heads", "n_head")
    kv_heads = _kv_heads(reader, heads)
    if heads > 1 and heads % kv_heads:  # 1 stands for a number that is missing, which is told already
        reader.fault(
            "num_key_value_heads",
            f"is {kv_heads}, which does not divide the {heads} attention heads.",
            "Take config.json as it is published.",
        )
    head_dim = reader.maybe("head_dim", "attention_head_dim")
    full_heads, full_dim = reader.maybe("num_global_key_value_heads"), reader.maybe("global_head_dim")
    if head_dim is None and hidden > 1 and hidden % heads:
        reader.fault(
            "head_dim", f"is missing, and {heads} heads do not divide the width {hidden}.", "Give head_dim."
        )
    return _Shape(
        layers=reader.need("num_hidden_layers", "n_layer"),
        hidden=hidden,
        heads=heads,
        kv_heads=full_heads or kv_heads,
        head_dim=full_dim or head_dim or hidden // heads,
        sliding_kv_heads=kv_heads if full_heads else None,
        sliding_head_dim=head_dim if full_dim else None,
        vocab=reader.need("vocab_size"),
        intermediate=_intermediate(reader, hidden),
        max_position=_max_position(reader),
    )


def _kv_heads(reader: _Reader, heads: int) -> int:
    if reader.family_name == "falcon":
        if reader.flag("new_decoder_architecture"):
            return reader.maybe("num_kv_heads", "n_head_kv") or heads
        return 1 if reader.flag("multi_query", default=True) else heads
    return reader.maybe("num_key_value_heads") or heads


def _intermediate(reader: _Reader, hidden: int) -> int:
    if reader.family_name in ("falcon", "gptj"):
        return reader.maybe("ffn_hidden_size", "n_inner") or 4 * hidden
    return reader.need("intermediate_size", "ffn_dim", "moe_intermediate_size")


def _max_position(reader: _Reader) -> int:
    if reader.family_name == "falcon":
        return reader.maybe("max_position_embeddings") or 2048
    return reader.need("max_position_embeddings", "n_positions")


def _mixers(reader: _Reader, shape: _Shape) -> Mixers:
    """Return what mixes tokens in the layers."""
    kinds = {"linear": linear_attention, "pattern": mamba_pattern}
    read = kinds.get(reader.family.mixers)
    return read(reader, shape.layers, shape.hidden) if read else Mixers(attention=shape.layers)


def _experts(reader: _Reader, shape: _Shape, mixers: Mixers) -> _Experts:
    total = reader.maybe("num_local_experts", "num_experts", "n_routed_experts") or 0
    if not total:
        return _Experts()
    dense = reader.maybe("first_k_dense_replace") or 0
    per_token = reader.need("num_experts_per_tok", "experts_per_token", "top_k_experts")
    if per_token > total:
        problem = f"is {per_token}, more than the {total} experts."
        reader.fault("num_experts_per_tok", problem, "Take config.json as it is published.")
    every, step = reader.maybe("moe_layer_freq") or 1, reader.maybe("decoder_sparse_step") or 1
    named = reader.items("mlp_only_layers")
    sparse = [
        n for n in range(dense, shape.layers) if not n % every and not (n + 1) % step and n not in named
    ]
    shared_width = reader.maybe("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size") or 0
    return _Experts(
        total=total,
        per_token=per_token,
        shared=reader.maybe("n_shared_experts") or (1 if shared_width else 0),
        width=reader.maybe("moe_intermediate_size") or shape.intermediate,
        layers=len(sparse) if mixers.experts is None else mixers.experts,
        shared_width=shared_width,
        shared_gate=reader.get("shared_expert_intermediate_size") is not None,
    )


def _latent(reader: _Reader) -> _Latent | None:
    if not reader.family.latent:
        return None
    return _Latent(
        kv_rank=reader.need("kv_lora_rank"),
        q_rank=reader.maybe("q_lora_rank"),
        rope=reader.need("qk_rope_head_dim"),
        nope=reader.need("qk_nope_head_dim"),
        value=reader.need("v_head_dim"),
    )


def _sliding(reader: _Reader, shape: _Shape) -> tuple[int | None, int]:
    """Return the sliding window and the number of layers that have it."""
    rule = reader.family.sliding
    window = reader.maybe("sliding_window")
    if rule == "upper" and not reader.flag("use_sliding_window"):
        return None, 0
    if rule == "never" or not window:
        return None, 0
    layer_types = reader.items("layer_types")
    if layer_types:
        layers = layer_types.count("sliding_attention")
    elif rule == "always":
        layers = shape.layers
    elif rule == "upper":
        layers = max(0, shape.layers - (reader.maybe("max_window_layers") or 0))
    else:
        pattern = (
            2 if rule == "alternating" else reader.need("_sliding_window_pattern", "sliding_window_pattern")
        )
        layers = shape.layers - shape.layers // pattern
    return (window, layers) if layers else (None, 0)


def _attention(shape: _Shape, latent: _Latent | None, sliding_layers: int, mixers: Mixers) -> Attention:
    if latent:
        return "mla"
    if 0 < sliding_layers < shape.layers or mixers.attention < shape.layers:
        return "hybrid"
    if shape.kv_heads == shape.heads:
        return "mha"
    return "mqa" if shape.kv_heads == 1 else "gqa"


def _number_format(reader: _Reader) -> tuple[Dtype | None, str | None]:
    """Return the type of the published weights, if the catalog names it, and how they are quantized."""
    quantization = reader.get("quantization_config")
    if isinstance(quantization, Mapping):
        method = str(quantization.get("quant_method", "unknown"))
        return QUANTIZED_DTYPES.get(method), method
    return DTYPES.get(str(reader.get("dtype", "torch_dtype")).removeprefix("torch.")), None


def _parameters(
    reader: _Reader,
    shape: _Shape,
    experts: _Experts,
    latent: _Latent | None,
    tied: bool,
    mixers: Mixers,
    sliding_layers: int,
) -> tuple[int, int]:
    """Return all parameters, and those that one token passes through."""
    family, hidden = reader.family, shape.hidden
    norm = hidden * (2 if family.norm_bias else 1)
    expert = _mlp(family, hidden, experts.width)
    shared = _mlp(family, hidden, experts.shared_width) if experts.shared_width else experts.shared * expert
    router = hidden * experts.total + (experts.total if family.router_bias else 0)
    router += hidden if experts.shared_gate else 0
    dense_layers = shape.layers - experts.layers if mixers.mlp is None else mixers.mlp
    layers = (mixers.attention - sliding_layers) * _one_attention(reader, shape, latent)
    layers += sliding_layers * _one_attention(reader, _sliding_shape(shape), latent)
    layers += mixers.params + shape.layers * _norms(reader) * norm
    layers += dense_layers * _mlp(
        family, hidden, shape.intermediate, reader.flag("mlp_bias") or reader.flag("bias")
    )
    layers += experts.layers * (experts.total * expert + shared + router)
    total = layers + norm + _embeddings(family, shape, tied)
    return total, total - experts.layers * (experts.total - experts.per_token) * expert


def _one_attention(reader: _Reader, shape: _Shape, latent: _Latent | None) -> int:
    return _latent_attention(shape, latent) if latent else _head_attention(reader, shape)


def _sliding_shape(shape: _Shape) -> _Shape:
    """Return the shape that the sliding layers have."""
    return replace(
        shape,
        kv_heads=shape.sliding_kv_heads or shape.kv_heads,
        head_dim=shape.sliding_head_dim or shape.head_dim,
    )


def _norms(reader: _Reader) -> int:
    """Return the norms of a layer that are as wide as the model."""
    if reader.family_name == "falcon":
        one = reader.flag("parallel_attn", default=True) and not reader.flag("new_decoder_architecture")
        return 1 if one else reader.maybe("num_ln_in_parallel_attn") or 2
    return reader.family.norms


def _mlp(family: _Family, hidden: int, width: int, bias: bool = False) -> int:
    inward = 2 if family.gated_mlp else 1
    biases = inward * width + hidden if bias or family.mlp_bias else 0
    return (inward + 1) * hidden * width + biases


def _head_attention(reader: _Reader, shape: _Shape) -> int:
    family, queries, keys = reader.family, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    bias = "all" if reader.flag("attention_bias") or reader.flag("bias") else family.attention_bias
    return (
        shape.hidden * ((3 if family.gated_attention else 2) * queries + 2 * keys)
        + (queries + 2 * keys if bias != "none" else 0)
        + (shape.hidden if bias == "all" else 0)
        + (2 * shape.head_dim if family.qk_norm else 0)
        + (shape.heads if family.sinks else 0)
    )


def _latent_attention(shape: _Shape, latent: _Latent) -> int:
    queries = shape.heads * (latent.nope + latent.rope)
    rank = latent.q_rank
    query = shape.hidden * queries if rank is None else rank * (shape.hidden + 1 + queries)
    compress = shape.hidden * (latent.kv_rank + latent.rope) + latent.kv_rank
    expand = latent.kv_rank * shape.heads * (latent.nope + latent.value)
    return query + compress + expand + shape.heads * latent.value * shape.hidden


def _embeddings(family: _Family, shape: _Shape, tied: bool) -> int:
    positions = 0 if family.learned_positions is None else shape.max_position + family.learned_positions
    head = 0 if tied else shape.vocab * shape.hidden
    return (shape.vocab + positions) * shape.hidden + head + (shape.vocab if family.head_bias else 0)
