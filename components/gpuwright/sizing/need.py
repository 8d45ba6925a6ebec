"""What a workload other than text generation needs: of each accelerator, or of the machine without one.

The processes meant here (diffusers, a trainer, an encoder's server) take memory as they use it; none sets a fraction
aside as vLLM does, so all that the driver shows is theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gpuwright.catalog import Accelerator, Model
from gpuwright.errors import Fault, InputError
from gpuwright.sizing.basis import Basis

RUNTIME_GIB = 0.45
"""GiB that a PyTorch process holds outside its allocator: context and libraries. 448 MB between what the allocator
and the device reported (huggingface.co/datasets/optimum-benchmark/rocm, stable-diffusion-v1-4, read 2026-11-22)."""

FRAGMENTATION = 0.20
"""Part of the working memory that the allocator holds beyond what is alive. Estimate: 6 to 32 % were seen in training
(fitcheck-llm 0.2.0, README), 1 to 33 % in one image pipeline (optimum-benchmark/rocm, reserved over allocated)."""

OLDER_DRIVERS_SHOW = 0.98
"""Part of the catalog's usable memory that older drivers show: they show 1 to 2 % less (catalog, accelerators)."""

HOST_PROCESS_GIB = 2.0
"""GiB of host memory of a Python process with PyTorch and its libraries loaded. Estimate."""

VCPUS_PER_ACCELERATOR = 8
"""vCPU that the documents ask for beside each accelerator (rule cpu-ratio)."""

BITS = {
    "fp32": 32.0,
    "bf16": 16.0,
    "fp16": 16.0,
    "fp8": 8.0,
    "int8": 8.0,
    "nf4": 4.0 + 32 / 64,
    "int4": 4.0 + 20 / 128,
}
"""Bits of one weight with its share of the scales: NF4 keeps 32 bits for 64 weights (arXiv 2305.14314, without
double quantization), INT4 a 16-bit scale and a 4-bit zero point for 128."""

COMPUTE_BYTES = {"fp32": 4}
"""Bytes of one activation where it is not 2: quantized weights are multiplied in 16 bits."""


OFF_BY = {Basis.MEASURED: 0.0, Basis.DERIVED: 0.01, Basis.CALIBRATED: 0.15, Basis.ESTIMATED: 0.5}
"""Part by which a size of each basis may be larger than said: half for an estimate, as the bases say; 1 %
for arithmetic, whose published sizes are rounded; 15 % for what was fitted. Our choice."""


@dataclass(frozen=True)
class Part:
    """One part of a need.

    Args:
        name: weights, gradients, optimizer, activations, kv cache, runtime; on the host also data and model.
        gib: Its size on each accelerator, or on the host.
        basis: How far the size can be trusted.
    """

    name: str
    gib: float
    basis: Basis


@dataclass(frozen=True)
class Need:
    """What one copy of a workload needs.

    Args:
        parts: Memory of each accelerator that it runs on; none where it needs no accelerator.
        accelerators: Accelerators that share it; 0 where it needs none.
        floor_gib: Nominal memory that the documents ask of each accelerator, GiB; 0 where they ask none.
        host: Memory of the machine, beside the operating system.
        vcpus: vCPU of the machine.
        reason: Why it is so, in a sentence.
    """

    parts: tuple[Part, ...]
    accelerators: int
    floor_gib: int
    host: tuple[Part, ...]
    vcpus: int
    reason: str

    @property
    def accelerator_gib(self) -> float:
        """Memory that each accelerator needs."""
        return sum(part.gib for part in self.parts)

    @property
    def total_gib(self) -> float:
        """Memory over all accelerators."""
        return self.accelerator_gib * self.accelerators

    @property
    def host_gib(self) -> float:
        """Memory that the machine needs."""
        return sum(part.gib for part in self.host)

    @property
    def uncertain_gib(self) -> float:
        """Memory by which the need of each accelerator may be larger than said."""
        return sum(part.gib * OFF_BY[part.basis] for part in self.parts)

    @property
    def basis(self) -> Basis:
        """The worst basis of what decides: the parts on the accelerator, else those on the host."""
        order = list(Basis)
        return max((part.basis for part in self.parts or self.host), key=order.index)

    def gib(self, name: str) -> float:
        """Return the size of the parts of that name on each accelerator."""
        return sum(part.gib for part in self.parts if part.name == name)

    def fits(self, accelerator: Accelerator) -> bool:
        """Return whether as many of that accelerator as the need names hold it."""
        return self.lack(accelerator) is None

    def tight(self, accelerator: Accelerator) -> bool:
        """Return whether it fits only if the need is no larger than said: try it before relying on it."""
        return self.fits(accelerator) and self.accelerator_gib + self.uncertain_gib > usable_gib(accelerator)

    def lack(self, accelerator: Accelerator) -> str | None:
        """Return in a sentence what that accelerator lacks, or none where it holds the need."""
        usable = usable_gib(accelerator)
        if self.accelerator_gib > usable:
            return (
                f"{accelerator.name} shows {usable:.1f} GiB to older drivers, and "
                f"{self.accelerator_gib:.1f} GiB are needed on each."
            )
        if self.accelerators and accelerator.memory_gib < self.floor_gib:
            return (
                f"{accelerator.name} has {accelerator.memory_gib} GB; the documents ask for "
                f"{self.floor_gib} GB at least."
            )
        return None


def usable_gib(accelerator: Accelerator) -> float:
    """Return the memory that even an older driver shows of an accelerator."""
    return accelerator.usable_mib / 1024 * OLDER_DRIVERS_SHOW


def running(weights: Part, others: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return the parts of a PyTorch process: those given, what its allocator wastes of them, and its runtime."""
    wasted = FRAGMENTATION * sum(part.gib for part in others)
    return (
        weights,
        *(part for part in others if part.gib),
        Part("fragmentation", wasted, Basis.ESTIMATED),
        Part("runtime", RUNTIME_GIB, Basis.CALIBRATED),
    )


def bits(precision: str, where: str = "precision") -> float:
    """Return the bits of one weight in that precision.

    Raises:
        InputError: There is no such precision.
    """
    if precision not in BITS:
        raise InputError.of(where, f"{precision!r} is no precision of weights.", f"Use {', '.join(BITS)}.")
    return BITS[precision]


def compute_bytes(precision: str) -> int:
    """Return the bytes of one activation where the weights have that precision."""
    return COMPUTE_BYTES.get(precision, 2)


def positive(**values: float) -> None:
    """Refuse values that are not above zero, all at once.

    Raises:
        InputError: One of them is zero or less.
    """
    faults = [
        Fault(name, f"{value:g} is not above zero.", "Give a number above zero.")
        for name, value in values.items()
        if value <= 0
    ]
    if faults:
        raise InputError(faults)


def require(model: Model, kinds: Collection[str], columns: Collection[str], called: str, fix: str) -> None:
    """Refuse a model of another kind, or one whose row lacks a column that its sizing needs.

    Args:
        kinds: Kinds that are sized so.
        columns: What its row must have.
        called: What the columns are, in words.
        fix: What to do.

    Raises:
        InputError: It is of another kind, or lacks one of them.
    """
    if model.kind in kinds and all(getattr(model, column) for column in columns):
        return
    problem = f"{model.id} is of kind {model.kind}, or its row lacks {called}."
    raise InputError.of(f"model {model.id}", problem, fix)


def choice(where: str, given: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not one of those known.

    Raises:
        InputError: It is none of them.
    """
    if given not in known:
        raise InputError.of(where, f"{given!r} is not known.", f"Use {', '.join(known)}.")
