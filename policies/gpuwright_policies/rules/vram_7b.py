"""Models of 7B and above have the accelerator memory that the documents name as the least."""

from gpuwright_policies.facts import Serving
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

ABOUT_7B = 6.5
"""Billions of parameters from which a model counts as 7B; larger ones need no less."""

FLOOR_GB_BY_BITS = {4: 8, 8: 12, 16: 16}
"""Least accelerator memory of a replica, by bits of a weight at most; wider weights take the last."""


def check(serving: Serving) -> Violation | None:
    """Compare the memory of a replica's accelerators with the floor for its weights."""
    if serving.params_billion < ABOUT_7B:
        return None
    total = serving.accelerator_count * serving.accelerator_memory_gib
    fitting = (floor for bits, floor in FLOOR_GB_BY_BITS.items() if serving.weights_bits <= bits)
    floor = next(fitting, FLOOR_GB_BY_BITS[16])
    if total >= floor:
        return None
    return Violation(
        f"{serving.accelerator_count} × {serving.accelerator} has {total:g} GB for {serving.model} "
        f"({serving.params_billion:.1f}B parameters of {serving.weights_bits} bits)",
        f"at least {floor} GB",
    )


def _serving(params_billion: float, bits: int, memory_gib: float, count: int = 1) -> Serving:
    return Serving("model", "a/b", params_billion, bits, "GPU", count, memory_gib, 1.0, memory_gib)


RULE = Rule(
    id="vram-7b",
    title="at least 16 GB of accelerator memory for 7B in 16-bit weights, 12 GB in 8-bit, 8 GB in 4-bit",
    severity=Severity.CRITICAL,
    kind=Kind.HARD,
    provenance=Provenance(
        "document A, accelerator memory; document B, what the GPU does in AI",
        "A: 7B models need about 14 GB in FP16; choose 16 GB or more. B: Llama-2-7B needs at least 12 GB; "
        "quantized (such as GGUF 4-bit), 8 GB can barely run it. As 14 GB do not fit in 12, B is taken to "
        "speak of 8-bit weights.",
    ),
    applies_to=Serving,
    check=check,
    why="Below it the weights leave no room for the KV cache and the runtime.",
    fix="Choose an accelerator with more memory, or weights of fewer bits.",
    passes=(
        _serving(7.6, 16, 16),
        _serving(6.7, 8, 12),
        _serving(6.7, 4, 8),
        _serving(7.6, 16, 8, count=2),
        _serving(3.0, 16, 8),
    ),
    fails=(
        _serving(6.7, 16, 12),
        _serving(6.7, 8, 8),
        _serving(7.6, 4, 6),
        _serving(7.6, 32, 12),
        _serving(13, 16, 12),
    ),
)
