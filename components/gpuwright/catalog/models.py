"""What a row of each catalog table holds.

Rows are frozen and name where their facts came from (``source``) and when it was read (``read``). In a source
or a note, ``known:`` marks knowledge of the collector that was not looked up.

They are plain dataclasses: to build validators takes longer than to read the tables, and those change with a
commit only. The tests validate every row against the types below, with ranges and without unknown columns; a
plan that is read back is validated with the model that it carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from gpuwright.catalog.record import Record

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]

Vendor = Literal["nvidia", "amd", "intel", "google", "aws"]
FormFactor = Literal["PCIe", "SXM2", "SXM4", "SXM5", "SXM6", "OAM"]
Rdma = Literal["none", "efa", "erdma", "roce", "infiniband", "gpudirect-tcpx"]
Interconnect = Literal["none", "pcie", "nvlink-bridge", "nvlink", "nvswitch"]
ModelKind = Literal["decoder", "encoder-decoder", "diffusion", "embedding", "reranker", "vision", "classical"]
Attention = Literal["mha", "gqa", "mqa", "mla", "hybrid"]
DRIVER = r"^\d+(\.\d+)*$"
"""Form of a driver version, such as 535.104.05."""
Dtype = Literal["fp32", "fp16", "bf16", "fp8", "mxfp4"]


class Sourced(Record):
    """Facts, with the place they came from."""

    source: Annotated[Text, Field(description="Where the facts came from, with versions.")]
    notes: Annotated[str, Field(description="Caveats that no column can hold.")] = ""


class Row(Sourced):
    """One row of a table, with the day on which its source was read."""

    read: Annotated[date, Field(description="Date on which the source was read.")]


class Accelerator(Row):
    """One accelerator in one form factor."""

    name: Annotated[
        str, Field(description="Name with the memory size where that tells two apart: A100-40, A100-80.")
    ]
    form_factor: Annotated[FormFactor, Field(description="How it is built in; with the name it is the key.")]
    vendor: Annotated[Vendor, Field(description="Maker of the accelerator.")]
    architecture: Annotated[str, Field(description="Generation: Ampere, Ada, Hopper, CDNA 3.")]
    compute_capability: Annotated[
        PositiveFloat | None,
        Field(description="CUDA compute capability, as in 8.6; none where the maker is not NVIDIA."),
    ] = None
    memory_gib: Annotated[PositiveInt, Field(description="Nominal memory of the data sheet, GiB.")]
    usable_mib: Annotated[
        PositiveInt,
        Field(
            description="Memory the driver shows, MiB; older drivers show 1 to 2 % less, so leave a margin."
        ),
    ]
    memory_bandwidth_gb_per_s: Annotated[PositiveFloat, Field(description="Memory bandwidth, GB/s.")]
    fp16_dense_tflops: Annotated[
        PositiveFloat,
        Field(description="Peak of the tensor or matrix cores in FP16 without sparsity, TFLOPS."),
    ]
    fp8_dense_tflops: Annotated[
        PositiveFloat | None,
        Field(description="Tensor-core peak in FP8 without sparsity, TFLOPS; none without hardware FP8."),
    ] = None
    int8_dense_tops: Annotated[
        PositiveFloat | None,
        Field(description="Tensor-core peak in INT8 without sparsity, TOPS; none without hardware INT8."),
    ] = None
    tf32: Annotated[bool, Field(description="Has TF32 tensor cores.")]
    bf16: Annotated[bool, Field(description="Has BF16 tensor cores.")]
    mig: Annotated[bool, Field(description="Can be cut into isolated instances (Multi-Instance GPU).")]
    nvlink_gb_per_s: Annotated[
        NonNegativeFloat,
        Field(
            description="NVLink, or the maker's own link, both directions added, GB/s; of a PCIe form only between "
            "two bridged ones."
        ),
    ]
    ecc: Annotated[
        Literal["yes", "limited", "no"],
        Field(description="Error-correcting memory; limited: off by default and costs capacity."),
    ]
    tdp_watts: Annotated[PositiveInt, Field(description="Default power limit, W.")]
    min_driver_cuda12: Annotated[
        PositiveInt | None,
        Field(description="Lowest driver branch that runs CUDA 12 on it; none without CUDA."),
    ] = None
    datacenter_licensed: Annotated[
        bool, Field(description="The driver's licence allows use in a data centre.")
    ]


class InstanceType(Row):
    """One cloud's machine shape with accelerators, and what it costs in one region."""

    cloud: Annotated[str, Field(description="Cloud that sells it; with the name it is the key.")]
    name: Annotated[
        str,
        Field(
            description="The cloud's name; on GCP with its guest accelerator: n1-standard-8+nvidia-tesla-t4x2"
        ),
    ]
    accelerator: Annotated[str, Field(description="Name of the accelerator, a row of the accelerators.")]
    form_factor: Annotated[FormFactor, Field(description="Form factor of the accelerator.")]
    accelerator_count: Annotated[PositiveInt, Field(description="Accelerators in one machine.")]
    accelerator_fraction: Annotated[
        PositiveFloat,
        Field(le=1, description="Part of a device that the machine gets; below 1 it is a vGPU slice."),
    ] = 1.0
    vcpus: Annotated[PositiveInt, Field(description="Virtual CPUs as the cloud sells them.")]
    memory_gib: Annotated[PositiveFloat, Field(description="System memory, GiB.")]
    local_ssd_gb: Annotated[
        NonNegativeFloat, Field(description="Local NVMe in all, as the cloud counts it (GCP: GiB).")
    ]
    network_gbps: Annotated[
        PositiveFloat, Field(description="Largest aggregate network figure the shape offers, Gbit/s.")
    ]
    network_baseline_gbps: Annotated[
        PositiveFloat | None,
        Field(description="Sustained network, Gbit/s, where network_gbps is a burst; none: the same."),
    ] = None
    numa_nodes: Annotated[
        PositiveInt | None, Field(description="NUMA nodes that the machine shows; none: not known.")
    ] = None
    rdma: Annotated[
        Rdma, Field(description="Fabric between machines; efa: the EC2 API says EfaSupported, no more.")
    ]
    interconnect: Annotated[
        Interconnect, Field(description="How the accelerators of one machine are joined.")
    ]
    nvlink_gb_per_s: Annotated[
        NonNegativeFloat, Field(description="NVLink of one accelerator, both directions added, GB/s.")
    ]
    on_demand_usd_per_hour: Annotated[
        PositiveFloat | None,
        Field(description="Linux list price in price_region; none: not sold on demand, or unknown."),
    ] = None
    spot_usd_per_hour: Annotated[
        PositiveFloat | None, Field(description="Representative spot price in price_region; spot moves.")
    ] = None
    price_region: Annotated[
        str,
        Field(
            description="The one region that both prices are of; all…: any region; empty: no price is known."
        ),
    ] = ""
    price_date: Annotated[
        date | None, Field(description="Date of the on-demand price; none: the snapshot carries no date.")
    ] = None

    @property
    def is_slice(self) -> bool:
        """Return whether it has a part of a device only, which no server here runs on."""
        return self.accelerator_fraction < 1

    def priced_in(self, region: str) -> bool:
        """Return whether its prices are those of that region."""
        return self.price_region == region or self.price_region.startswith("all ")

    @property
    def sustained_network_gbps(self) -> float:
        """Return the network rate that lasts, Gbit/s."""
        return self.network_gbps if self.network_baseline_gbps is None else self.network_baseline_gbps


class ServicePrice(Row):
    """The price of one thing beside the machines: disk, balancer, NAT, traffic, storage, logs."""

    cloud: Annotated[str, Field(description="Cloud that sells it; with the name it is the key.")]
    name: Annotated[str, Field(description="What is billed, with its unit: nat-gateway-hour.")]
    usd: Annotated[NonNegativeFloat, Field(description="Price of one unit, US dollars; 0: free.")]
    unit: Annotated[str, Field(description="The unit in words.")]
    price_region: Annotated[str, Field(description="Region that the price is of.")]
    price_date: Annotated[date | None, Field(description="Date of the price; none: its source has none.")] = (
        None
    )


class Commitment(Row):
    """What a family of instance types costs less when one commits to it for one or three years."""

    cloud: Annotated[str, Field(description="Cloud that sells it; with the family it is the key.")]
    family: Annotated[str, Field(description="What the instance types' names begin with; *: any other.")]
    one_year_discount: Annotated[
        Share | None,
        Field(description="Part of the on-demand price that one year takes off; none: not sold."),
    ] = None
    three_years_discount: Annotated[
        Share | None, Field(description="Part of the on-demand price that three years take off.")
    ] = None
    price_region: Annotated[str, Field(description="Region that the discounts are of.")]
    price_date: Annotated[date | None, Field(description="Date of the price list.")] = None

    @property
    def general(self) -> bool:
        """Return whether it stands for families that the table does not list."""
        return self.family == "*"


class ModelComponent(Sourced):
    """One part of a model that is published in parts, such as a text encoder."""

    name: Annotated[str, Field(description="Name of the part.")]
    params: Annotated[PositiveInt | None, Field(description="Parameters of the part.")] = None
    dtype: Annotated[Dtype, Field(description="Type of the published weights.")]
    weights_gb: Annotated[PositiveFloat | None, Field(description="Size of the published weights, GB.")] = (
        None
    )
    full_checkpoint: Annotated[
        bool, Field(description="It is the whole checkpoint and contains other parts: do not add it to them.")
    ] = False
    hidden_size: Annotated[
        PositiveInt | None,
        Field(description="Of a denoiser: width of a transformer, channels of a UNet's first block."),
    ] = None
    attention_heads: Annotated[
        PositiveInt | None, Field(description="Of a denoiser: heads of its widest attention.")
    ] = None
    latent_pixels_per_token: Annotated[
        PositiveInt | None,
        Field(description="Of a denoiser: latent pixels behind a token of that attention."),
    ] = None


class Model(Sourced):
    """One model: what its configuration says, and how many parameters it has.

    A column that does not apply to a kind of model, or is not known, is none.
    """

    id: Annotated[str, Field(description="Hugging Face id: organisation/name.")]
    read: Annotated[
        date | None,
        Field(description="Date on which the source was read; none: the configuration was handed in."),
    ] = None
    kind: Annotated[ModelKind, Field(description="What it is built as.")]
    model_type: Annotated[
        str | None, Field(description="Architecture as model_type of its config.json spells it.")
    ] = None
    params_total: Annotated[PositiveInt | None, Field(description="All parameters.")] = None
    params_active: Annotated[
        PositiveInt | None,
        Field(description="Parameters one token passes through, embeddings included; dense: all."),
    ] = None
    layers: Annotated[PositiveInt | None, Field(description="Layers (of the decoder).")] = None
    encoder_layers: Annotated[
        PositiveInt | None, Field(description="Layers of the encoder, if it has one.")
    ] = None
    hidden_size: Annotated[PositiveInt | None, Field(description="Width of the residual stream.")] = None
    attention_heads: Annotated[PositiveInt | None, Field(description="Query heads of a layer.")] = None
    kv_heads: Annotated[PositiveInt | None, Field(description="Key and value heads of a layer.")] = None
    head_dim: Annotated[PositiveInt | None, Field(description="Width of a head; none with MLA.")] = None
    vocab_size: Annotated[PositiveInt | None, Field(description="Rows of the embedding.")] = None
    intermediate_size: Annotated[PositiveInt | None, Field(description="Width of a dense MLP.")] = None
    moe_intermediate_size: Annotated[PositiveInt | None, Field(description="Width of an expert.")] = None
    max_position: Annotated[PositiveInt | None, Field(description="Longest context trained for, tokens.")] = (
        None
    )
    attention: Annotated[
        Attention | None,
        Field(description="Head sharing, or mla; hybrid: sliding and full layers alternate."),
    ] = None
    sliding_window: Annotated[PositiveInt | None, Field(description="Sliding window, tokens.")] = None
    sliding_layers: Annotated[
        NonNegativeInt, Field(description="Layers whose attention sees the sliding window only.")
    ] = 0
    sliding_kv_heads: Annotated[
        PositiveInt | None, Field(description="KV heads of a sliding layer where they are not kv_heads.")
    ] = None
    sliding_head_dim: Annotated[
        PositiveInt | None, Field(description="Head width of a sliding layer where it is not head_dim.")
    ] = None
    attention_layers: Annotated[
        NonNegativeInt | None,
        Field(
            description="Layers with attention; none: all. The others keep a state (Mamba, linear attention)."
        ),
    ] = None
    state_bytes: Annotated[
        PositiveInt | None,
        Field(description="Bytes that layers without attention keep of one sequence, whatever its length."),
    ] = None
    vision_params: Annotated[
        PositiveInt | None,
        Field(description="Of params_total those of vision or audio towers, kept in 16 bits."),
    ] = None
    kv_lora_rank: Annotated[PositiveInt | None, Field(description="Rank of the cached MLA latent.")] = None
    qk_rope_head_dim: Annotated[
        PositiveInt | None, Field(description="Width of the rotary part cached beside the MLA latent.")
    ] = None
    dtype: Annotated[
        Dtype | None,
        Field(
            description="Type of the bulk of the published weights; with fp8 and mxfp4 the rest is 16-bit."
        ),
    ] = None
    quantization: Annotated[
        str | None,
        Field(description="Method the published weights are quantized with: fp8, mxfp4, awq, gptq."),
    ] = None
    experts: Annotated[PositiveInt | None, Field(description="Routed experts of a layer.")] = None
    experts_per_token: Annotated[PositiveInt | None, Field(description="Routed experts a token uses.")] = None
    shared_experts: Annotated[PositiveInt | None, Field(description="Experts every token uses.")] = None
    dense_layers: Annotated[
        NonNegativeInt,
        Field(description="Layers of a mixture-of-experts model that have a dense MLP instead."),
    ] = 0
    tied_embeddings: Annotated[bool | None, Field(description="Output and input embedding are one.")] = None
    weights_bytes: Annotated[
        PositiveInt | None,
        Field(description="Published safetensors in all, bytes, often rounded to 10 MB by the source."),
    ] = None
    revision: Annotated[str | None, Field(description="Commit the facts are of.")] = None
    components: Annotated[tuple[ModelComponent, ...], Field(description="Parts, if published in parts.")] = ()

    @property
    def is_mixture_of_experts(self) -> bool:
        """Return whether only some experts see a token."""
        return self.experts is not None


class Quantization(Sourced):
    """One way to store weights or cache, and the accelerators that can run it."""

    name: Annotated[
        str, Field(description="Name as the server's flag or the model's configuration spells it.")
    ]
    min_compute_capability: Annotated[
        PositiveFloat, Field(description="Lowest compute capability that runs it.")
    ]
    native_compute_capability: Annotated[
        PositiveFloat | None,
        Field(description="Lowest compute capability that also computes in it; below, only memory is saved."),
    ] = None
    marlin_compute_capability: Annotated[
        PositiveFloat | None,
        Field(description="Lowest compute capability with the Marlin kernel, the fast one for weights only."),
    ] = None


class Server(Row):
    """One version of an inference server: its image, what it demands of the machine, and what it serves."""

    name: Annotated[str, Field(description="Name of the server; with the version it is the key.")]
    version: Annotated[str, Field(description="Version, without a leading v.")]
    core: Annotated[
        str | None, Field(description="Generation of its scheduler where versions differ in it: V0 or V1.")
    ] = None
    image: Annotated[str | None, Field(description="Repository of the container image.")] = None
    digest: Annotated[
        str | None,
        Field(
            pattern="^sha256:[0-9a-f]{64}$",
            description="Digest of the image; none: no source gives it beside the version, so it is not deployed.",
        ),
    ] = None
    image_compressed_gb: Annotated[PositiveFloat | None, Field(description="Size to download, GB.")] = None
    image_unpacked_gb: Annotated[PositiveFloat | None, Field(description="Size on disk, GB.")] = None
    cuda: Annotated[str | None, Field(description="CUDA version that the image is built with.")] = None
    min_driver: Annotated[
        str | None,
        Field(
            pattern=DRIVER,
            description="Lowest driver that runs the image, by CUDA's minor-version compatibility.",
        ),
    ] = None
    native_driver: Annotated[
        str | None,
        Field(
            pattern=DRIVER,
            description="Lowest driver that supports all of its CUDA version; no compatibility needed.",
        ),
    ] = None
    vendors: Annotated[
        tuple[Vendor, ...], Field(description="Makers of the accelerators that the image runs on.")
    ] = ("nvidia",)
    min_compute_capability: Annotated[
        PositiveFloat, Field(description="Lowest compute capability that it runs on.")
    ]
    min_compute_capability_bf16: Annotated[PositiveFloat, Field(description="The same for BF16.")]
    quantizations: Annotated[
        tuple[Quantization, ...], Field(description="Weight quantizations that it serves.")
    ]
    kv_cache_dtypes: Annotated[
        tuple[Quantization, ...], Field(description="Types of KV cache beside the model's own.")
    ]
    kinds: Annotated[tuple[ModelKind, ...], Field(description="Kinds of models that it serves.")] = (
        "decoder",
    )
    attentions: Annotated[tuple[Attention, ...], Field(description="Kinds of attention that it serves.")]
    model_types: Annotated[
        tuple[str, ...],
        Field(description="Architectures that it serves, as model_type spells them; none: not limited here."),
    ] = ()
    paged_attention: Annotated[
        bool, Field(description="Keeps the KV cache in blocks, so that none is reserved.")
    ]
    cuda_graphs: Annotated[bool, Field(description="Captures decoding steps as CUDA graphs.")]

    @property
    def deployable(self) -> bool:
        """Return whether its image is known by digest."""
        return self.image is not None and self.digest is not None

    @property
    def image_reference(self) -> str:
        """Return the image by digest, as a container runtime takes it; of a deployable version only."""
        return f"{self.image}@{self.digest}"

    def quantization(self, name: str) -> Quantization | None:
        """Return the weight quantization of that name, or none where the server does not serve it."""
        return next((each for each in self.quantizations if each.name == name), None)


class Floors(Record):
    """The least a documented profile asks of one machine."""

    vcpus: Annotated[PositiveInt, Field(description="Virtual CPUs.")]
    memory_gib: Annotated[PositiveFloat, Field(description="System memory, GiB.")]
    disk_gb: Annotated[PositiveInt, Field(description="SSD, GB.")]
    accelerators: Annotated[PositiveInt, Field(description="Accelerators.")]


class Profile(Row):
    """A named default: what fills in the spec, and the least a machine must have."""

    name: Annotated[str, Field(description="Name of the profile, which is its file's.")]
    summary: Annotated[str, Field(description="What it is for, one sentence.")]
    accelerator: Annotated[str, Field(description="The accelerator that the document names.")]
    floors: Annotated[Floors, Field(description="The least one machine must have.")]
    defaults: Annotated[
        Mapping[str, Any], Field(description="Values for the spec's fields, nested as in a spec.")
    ]
    quote: Annotated[Text, Field(description="The document's words, in the original.")]
    translation: Annotated[Text, Field(description="The same in English.")]
