"""Weights, KV cache, activations and runtime fit in accelerator memory."""

from gpuwright_policies.facts import Serving
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation


def check(serving: Serving) -> Violation | None:
    """Compare what the fullest accelerator needs with what the server may use of it."""
    if serving.required_gib <= serving.usable_gib:
        return None
    return Violation(
        f"on {serving.accelerator_count} × {serving.accelerator}, {serving.model} needs "
        f"{serving.required_gib:.1f} GiB of each",
        f"at most the {serving.usable_gib:.1f} GiB that the server may use of its "
        f"{serving.accelerator_memory_gib:g} GiB",
    )


def _serving(required_gib: float, count: int = 1) -> Serving:
    return Serving("model", "a/b", 7.6, 16, "A10G", count, 24, required_gib, 20.2)


RULE = Rule(
    id="vram-fits",
    title="weights, KV cache, activations and runtime fit in accelerator memory",
    severity=Severity.CRITICAL,
    kind=Kind.HARD,
    provenance=Provenance(
        "document A, accelerator memory: rather 50 % more than 1 GB less",
        "Too little memory causes constant exchange between CPU and GPU, even an out-of-memory crash. "
        "Enough room must be kept for loading the model, the KV cache and batching.",
    ),
    applies_to=Serving,
    check=check,
    why="A model that does not fit ends with an out-of-memory error at its start or under load.",
    fix="Choose accelerators with more memory, a higher tensor parallel size, or a smaller weights "
    "precision, max model len or concurrency.",
    passes=(_serving(20.2), _serving(12.0, 2)),
    fails=(_serving(20.3), _serving(40.0, 2)),
)
