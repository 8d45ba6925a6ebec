"""What a row of each catalog table holds.

Rows are frozen, refuse unknown keys, and name where their facts came from (``source``) and when it was read
(``read``). In a source or a note, ``known:`` marks knowledge of the collector that was not looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]

FormFactor = Literal["PCIe", "SXM2", "SXM4", "SXM5", "SXM6"]
Rdma = Literal["none", "efa", "roce", "infiniband", "gpudirect-tcpx"]
Interconnect = Literal["none", "pcie", "nvlink-bridge", "nvlink", "nvswitch"]
ModelKind = Literal["decoder", "encoder-decoder", "diffusion"]
Attention = Literal["mha", "gqa", "mqa", "mla", "hybrid"]
DRIVER = r"^\d+(\.\d+)*$"
"""Form of a driver version, such as 535.104.05."""
Dtype = Literal["fp32", "fp16", "bf16", "fp8", "mxfp4"]


class Sourced(BaseModel):
    """Facts, with the place they came from."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())

    source: str = Field(min_length=1, description="Where the facts came from, with versions.")
    notes: str = Field(default="", description="Caveats that no column can hold.")


class Row(Sourced):
    """One row of a table, with the day on which its source was read."""

    read: date = Field(description="Date on which the source was read.")


class Accelerator(Row):
    """One accelerator in one form factor."""

    name: str = Field(description="Name with the memory size where that tells two apart: A100-40, A100-80.")
    form_factor: FormFactor = Field(description="How it is built in; with the name it is the key.")
    vendor: Literal["nvidia"] = Field(description="Maker of the accelerator.")
    architecture: str = Field(description="Generation: Ampere, Ada, Hopper.")
    compute_capability: PositiveFloat = Field(description="CUDA compute capability, as in 8.6.")
    memory_gib: PositiveInt = Field(description="Nominal memory of the data sheet, GiB.")
    usable_mib: PositiveInt = Field(
        description="Memory the driver shows, MiB; older drivers show 1 to 2 % less, so leave a margin."
    )
    memory_bandwidth_gb_per_s: PositiveFloat = Field(description="Memory bandwidth, GB/s.")
    fp16_dense_tflops: PositiveFloat = Field(description="Tensor-core peak in FP16 without sparsity, TFLOPS.")
    fp8_dense_tflops: PositiveFloat | None = Field(
        default=None,
        description="Tensor-core peak in FP8 without sparsity, TFLOPS; none without hardware FP8.",
    )
    int8_dense_tops: PositiveFloat | None = Field(
        default=None,
        description="Tensor-core peak in INT8 without sparsity, TOPS; none without hardware INT8.",
    )
    tf32: bool = Field(description="Has TF32 tensor cores.")
    bf16: bool = Field(description="Has BF16 tensor cores.")
    mig: bool = Field(description="Can be cut into isolated instances (Multi-Instance GPU).")
    nvlink_gb_per_s: float = Field(
        ge=0, description="NVLink, both directions added, GB/s; of a PCIe form only between two bridged ones."
    )
    ecc: Literal["yes", "limited", "no"] = Field(
        description="Error-correcting memory; limited: off by default and costs capacity."
    )
    tdp_watts: PositiveInt = Field(description="Default power limit, W.")
    min_driver_cuda12: PositiveInt = Field(description="Lowest driver branch that runs CUDA 12 on it.")
    datacenter_licensed: bool = Field(description="The driver's licence allows use in a data centre.")


class InstanceType(Row):
    """One cloud's machine shape with accelerators, and what it costs in one region."""

    cloud: str = Field(description="Cloud that sells it; with the name it is the key.")
    name: str = Field(
        description="The cloud's name; on GCP a guest accelerator is added, n1-standard-8+nvidia-tesla-t4x2."
    )
    accelerator: str = Field(description="Name of the accelerator, a row of the accelerators.")
    form_factor: FormFactor = Field(description="Form factor of the accelerator.")
    accelerator_count: PositiveInt = Field(description="Accelerators in one machine.")
    vcpus: PositiveInt = Field(description="Virtual CPUs as the cloud sells them.")
    memory_gib: PositiveFloat = Field(description="System memory, GiB.")
    local_ssd_gb: float = Field(ge=0, description="Local NVMe in all, as the cloud counts it (GCP: GiB).")
    network_gbps: PositiveFloat = Field(
        description="Largest aggregate network figure the shape offers, Gbit/s."
    )
    network_baseline_gbps: PositiveFloat | None = Field(
        default=None, description="Sustained network, Gbit/s, where network_gbps is a burst; none: the same."
    )
    rdma: Rdma = Field(description="Fabric between machines; efa: the EC2 API says EfaSupported, no more.")
    interconnect: Interconnect = Field(description="How the accelerators of one machine are joined.")
    nvlink_gb_per_s: float = Field(
        ge=0, description="NVLink of one accelerator, both directions added, GB/s."
    )
    on_demand_usd_per_hour: PositiveFloat | None = Field(
        default=None, description="Linux list price in price_region; none: not sold on demand, or unknown."
    )
    spot_usd_per_hour: PositiveFloat | None = Field(
        default=None, description="Representative spot price in price_region; spot moves."
    )
    price_region: str = Field(description="The one region that both prices are of.")
    price_date: date | None = Field(
        default=None, description="Date of the on-demand price; none: the snapshot carries no date."
    )

    @property
    def sustained_network_gbps(self) -> float:
        """Return the network rate that lasts, Gbit/s."""
        return self.network_gbps if self.network_baseline_gbps is None else self.network_baseline_gbps


class ModelComponent(Sourced):
    """One part of a model that is published in parts, such as a text encoder."""

    name: str = Field(description="Name of the part.")
    params: PositiveInt | None = Field(default=None, description="Parameters of the part.")
    dtype: Dtype = Field(description="Type of the published weights.")
    weights_gb: PositiveFloat | None = Field(default=None, description="Size of the published weights, GB.")
    full_checkpoint: bool = Field(
        default=False,
        description="It is the whole checkpoint and contains other parts: do not add it to them.",
    )


class Model(Sourced):
    """One model: what its configuration says, and how many parameters it has.

    A column that does not apply to a kind of model, or is not known, is none.
    """

    id: str = Field(description="Hugging Face id: organisation/name.")
    read: date | None = Field(
        default=None, description="Date on which the source was read; none: the configuration was handed in."
    )
    kind: ModelKind = Field(description="What it is built as.")
    params_total: PositiveInt | None = Field(default=None, description="All parameters.")
    params_active: PositiveInt | None = Field(
        default=None, description="Parameters one token passes through, embeddings included; dense: all."
    )
    layers: PositiveInt | None = Field(default=None, description="Layers (of the decoder).")
    encoder_layers: PositiveInt | None = Field(
        default=None, description="Layers of the encoder, if it has one."
    )
    hidden_size: PositiveInt | None = Field(default=None, description="Width of the residual stream.")
    attention_heads: PositiveInt | None = Field(default=None, description="Query heads of a layer.")
    kv_heads: PositiveInt | None = Field(default=None, description="Key and value heads of a layer.")
    head_dim: PositiveInt | None = Field(default=None, description="Width of a head; none with MLA.")
    vocab_size: PositiveInt | None = Field(default=None, description="Rows of the embedding.")
    intermediate_size: PositiveInt | None = Field(default=None, description="Width of a dense MLP.")
    moe_intermediate_size: PositiveInt | None = Field(default=None, description="Width of an expert.")
    max_position: PositiveInt | None = Field(default=None, description="Longest context trained for, tokens.")
    attention: Attention | None = Field(
        default=None, description="Head sharing, or mla; hybrid: sliding and full layers alternate."
    )
    sliding_window: PositiveInt | None = Field(default=None, description="Sliding window, tokens.")
    sliding_layers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Layers whose attention sees the sliding window only."
    )
    kv_lora_rank: PositiveInt | None = Field(default=None, description="Rank of the cached MLA latent.")
    qk_rope_head_dim: PositiveInt | None = Field(
        default=None, description="Width of the rotary part cached beside the MLA latent."
    )
    dtype: Dtype | None = Field(
        default=None,
        description="Type of the bulk of the published weights; with fp8 and mxfp4 the rest is 16-bit.",
    )
    quantization: str | None = Field(
        default=None, description="Method the published weights are quantized with: fp8, mxfp4, awq, gptq."
    )
    experts: PositiveInt | None = Field(default=None, description="Routed experts of a layer.")
    experts_per_token: PositiveInt | None = Field(default=None, description="Routed experts a token uses.")
    shared_experts: PositiveInt | None = Field(default=None, description="Experts every token uses.")
    dense_layers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Layers of a mixture-of-experts model that have a dense MLP instead."
    )
    tied_embeddings: bool | None = Field(default=None, description="Output and input embedding are one.")
    weights_bytes: PositiveInt | None = Field(
        default=None, description="Published safetensors in all, bytes, often rounded to 10 MB by the source."
    )
    revision: str | None = Field(default=None, description="Commit the facts are of.")
    components: tuple[ModelComponent, ...] = Field(default=(), description="Parts, if published in parts.")

    @property
    def is_mixture_of_experts(self) -> bool:
        """Return whether only some experts see a token."""
        return self.experts is not None


class Quantization(Sourced):
    """One way to store weights or cache, and the accelerators that can run it."""

    name: str = Field(description="Name as the server's flag or the model's configuration spells it.")
    min_compute_capability: PositiveFloat = Field(description="Lowest compute capability that runs it.")
    native_compute_capability: PositiveFloat | None = Field(
        default=None,
        description="Lowest compute capability that also computes in it; below, only memory is saved.",
    )
    marlin_compute_capability: PositiveFloat | None = Field(
        default=None,
        description="Lowest compute capability with the Marlin kernel, the fast one for weights only.",
    )


class Server(Row):
    """One version of an inference server: its image, and what it demands of the machine."""

    name: str = Field(description="Name of the server; with the version it is the key.")
    version: str = Field(description="Version, without a leading v.")
    image: str = Field(description="Repository of the container image.")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="Digest of the image.")
    image_compressed_gb: PositiveFloat | None = Field(default=None, description="Size to download, GB.")
    image_unpacked_gb: PositiveFloat | None = Field(default=None, description="Size on disk, GB.")
    cuda: str = Field(description="CUDA version that the image is built with.")
    min_driver: str = Field(
        pattern=DRIVER,
        description="Lowest driver that runs the image, by CUDA's minor-version compatibility.",
    )
    native_driver: str = Field(
        pattern=DRIVER,
        description="Lowest driver that supports all of its CUDA version; no compatibility needed.",
    )
    min_compute_capability: PositiveFloat = Field(description="Lowest compute capability that it runs on.")
    min_compute_capability_bf16: PositiveFloat = Field(description="The same for BF16.")
    quantizations: tuple[Quantization, ...] = Field(description="Weight quantizations that it serves.")
    kv_cache_dtypes: tuple[Quantization, ...] = Field(description="Types of KV cache beside the model's own.")

    @property
    def image_reference(self) -> str:
        """Return the image by digest, as a container runtime takes it."""
        return f"{self.image}@{self.digest}"

    def quantization(self, name: str) -> Quantization | None:
        """Return the weight quantization of that name, or none where the server does not serve it."""
        return next((each for each in self.quantizations if each.name == name), None)


class Floors(BaseModel):
    """The least a documented profile asks of one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    vcpus: PositiveInt = Field(description="Virtual CPUs.")
    memory_gib: PositiveFloat = Field(description="System memory, GiB.")
    disk_gb: PositiveInt = Field(description="SSD, GB.")
    accelerators: PositiveInt = Field(description="Accelerators.")


class Profile(Row):
    """A named default: what fills in the spec, and the least a machine must have."""

    name: str = Field(description="Name of the profile, which is its file's.")
    summary: str = Field(description="What it is for, one sentence.")
    accelerator: str = Field(description="The accelerator that the document names.")
    floors: Floors = Field(description="The least one machine must have.")
    defaults: Mapping[str, Any] = Field(description="Values for the spec's fields, nested as in a spec.")
    quote: str = Field(min_length=1, description="The document's words, in the original.")
    translation: str = Field(min_length=1, description="The same in English.")
