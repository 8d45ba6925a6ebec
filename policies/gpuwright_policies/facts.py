"""What rules judge: facts about planned or registered things, the same whichever door they came through.

A fact that nobody can know yet (an image id before deployment, a model that nothing names) is ``UNKNOWN``.
Rules need not ask: reading such a field raises ``NotYetKnownError``, and the evaluator answers "cannot be
known yet".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final


class _Unknown:
    """The value of a fact that cannot be known yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final[Any] = _Unknown()


class NotYetKnownError(Exception):
    """A rule read a fact that cannot be known yet."""

    def __init__(self, subject: str, field: str) -> None:
        """Hold whose fact it is and which."""
        self.subject, self.field = subject, field
        super().__init__(f"{subject}: {field} cannot be known yet")


@dataclass(frozen=True)
class Facts:
    """Base of all facts.

    Args:
        subject: Who the facts are about, as the reader of a finding knows it: a resource's URN or name, or a
            path in a spec.
    """

    kind: ClassVar[str]
    subject: str

    def __getattribute__(self, name: str) -> Any:
        """Return the field, or raise NotYetKnownError where it is unknown."""
        value = super().__getattribute__(name)
        if value is UNKNOWN:
            raise NotYetKnownError(super().__getattribute__("subject"), name)
        return value


@dataclass(frozen=True)
class Host(Facts):
    """A machine shape: what an accelerator has around it.

    Args:
        instance_type: The cloud's name of the shape.
        accelerator: Name of the device; empty where the shape has none.
        accelerator_count: Devices of the machine.
        accelerator_memory_gib: Memory of one device, as in the data sheet.
        vcpus: Virtual CPUs of the machine.
        memory_gib: System memory of the machine.
        datacenter_licensed: Whether the device's driver may be used in a data centre.
    """

    kind = "host"
    instance_type: str
    accelerator: str
    accelerator_count: int
    accelerator_memory_gib: float
    vcpus: int
    memory_gib: float
    datacenter_licensed: bool


@dataclass(frozen=True)
class Serving(Facts):
    """A model on accelerators.

    Args:
        model: Id of the model.
        params_billion: Parameters, in 10^9.
        weights_bits: Bits of one weight as stored: 16, 8 or 4.
        accelerator: Name of the device.
        accelerator_count: Devices that one replica uses.
        accelerator_memory_gib: Memory of one device, as in the data sheet.
        required_gib: What the replica needs of its fullest device: weights, KV cache, activations, runtime.
        usable_gib: What the server may use of one device.
    """

    kind = "serving"
    model: str
    params_billion: float
    weights_bits: int
    accelerator: str
    accelerator_count: int
    accelerator_memory_gib: float
    required_gib: float
    usable_gib: float


@dataclass(frozen=True)
class Parallelism(Facts):
    """A model split over the accelerators of a machine.

    Args:
        instance_type: The cloud's name of the shape.
        tensor_parallel_size: Accelerators that share each layer.
        accelerator_count: Devices of the machine.
    """

    kind = "parallelism"
    instance_type: str
    tensor_parallel_size: int
    accelerator_count: int


@dataclass(frozen=True)
class SystemDisk(Facts):
    """The disk that a machine boots from.

    Args:
        size_gb: Size in GB, as the cloud sells it.
        required_gb: What image, model copies and caches need; 0 where nothing says it.
        solid_state: Whether it is an SSD.
    """

    kind = "system-disk"
    size_gb: float
    required_gb: float
    solid_state: bool


@dataclass(frozen=True)
class Prices(Facts):
    """What a plan was priced with.

    Args:
        what: What is priced: machines, or the services beside them.
        age_days: Days since the oldest of the prices; None where one has no date.
    """

    kind = "prices"
    what: str
    age_days: int | None


@dataclass(frozen=True)
class Volume(Facts):
    """A block volume that a machine or its template defines.

    Args:
        encrypted: Whether it is encrypted at rest.
    """

    kind = "volume"
    encrypted: bool


@dataclass(frozen=True)
class ModelStore(Facts):
    """Where a machine that serves a model takes the model's files from.

    Args:
        uri: Address of the files, such as ``s3://bucket/prefix``; empty where they come from elsewhere.
        cached_locally: Whether they are kept on the machine, so that a restart pulls nothing.
    """

    kind = "model-store"
    uri: str
    cached_locally: bool


@dataclass(frozen=True)
class MetadataService(Facts):
    """The instance metadata service of an AWS machine.

    Args:
        http_tokens: ``required`` (IMDSv2 only), ``optional``, or empty where unset.
        hop_limit: Network hops that a token may travel; 0 where unset.
    """

    kind = "metadata-service"
    http_tokens: str
    hop_limit: int


@dataclass(frozen=True)
class Ingress(Facts):
    """One opening of a firewall: from where, to which ports.

    Args:
        sources: CIDR blocks that may connect; empty where only other security groups may.
        from_port: First open port; -1 with protocol ``-1`` means every port.
        to_port: Last open port.
        protocol: ``tcp``, ``udp``, ``icmp`` or ``-1`` for all.
    """

    kind = "ingress"
    sources: tuple[str, ...]
    from_port: int
    to_port: int
    protocol: str
