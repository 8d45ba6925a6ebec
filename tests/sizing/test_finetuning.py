"""Fine-tuning: the arithmetic by hand, published measurements, and what must hold for all."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.catalog import Model
from gpuwright.errors import InputError
from gpuwright.sizing.finetuning import FineTuning, activations_bytes, fine_tuning_need, trained_params
from gpuwright.sizing.servers.budget import GIB

LLAMA = catalog.model("Llama-2-7b-hf")
LLAMA_3B = catalog.model("Llama-3.2-3B")
MODELS = [
    LLAMA,
    LLAMA_3B,
    *(catalog.model(name) for name in ("Llama-3.1-70B", "Mixtral-8x7B-v0.1", "falcon-7b")),
]


def qwen(params: int, layers: int, width: int, mlp: int, vocab: int, heads: int) -> Model:
    return Model(
        id="Qwen/Qwen",
        kind="decoder",
        params_total=params,
        layers=layers,
        hidden_size=width,
        attention_heads=heads,
        kv_heads=heads,
        head_dim=128,
        vocab_size=vocab,
        intermediate_size=mlp,
        tied_embeddings=False,
        source="QwenLM/Qwen config.json",
    )


QWEN = {
    "1.8B": qwen(1_836_828_672, 24, 2048, 5504, 151_936, 16),
    "7B": qwen(7_721_324_544, 32, 4096, 11_008, 151_936, 32),
    "14B": qwen(14_167_290_880, 40, 5120, 13_696, 152_064, 40),
    "72B": qwen(72_287_920_128, 80, 8192, 24_576, 152_064, 64),
}
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
# QwenLM/Qwen README@03cd81f, GB over all accelerators: batch 1, rank 64, FlashAttention 2, A100-SXM4-80G.
MEASURED = [
    ("1.8B", "lora", 1, (6.7, 7.4, 8.4, 11.0, 16.2, 21.8)),
    ("1.8B", "qlora", 1, (5.8, 6.0, 6.6, 7.8, 10.2, 15.8)),
    ("1.8B", "full", 1, (43.5, 43.5, 43.5, 43.5, 47.1, 48.3)),
    ("7B", "lora", 1, (20.1, 20.4, 21.5, 23.8, 29.7, 36.6)),
    ("7B", "qlora", 1, (11.5, 11.5, 12.3, 13.9, 16.9, 23.5)),
    ("7B", "full", 2, (139.2, 148.0, 162.0)),
    ("14B", "lora", 1, (34.6, 35.1, 35.3, 37.4, 42.5, 55.2)),
    ("14B", "qlora", 1, (18.7, 18.4, 18.9, 19.9, 23.0, 27.9)),
    ("72B", "lora", 4, (215.4, 217.7, 222.6, 228.8, 249.0, 289.2)),
    ("72B", "qlora", 1, (61.4, 61.4, 62.9, 64.1, 68.0, 75.6)),
]


def llama_like(
    params: int, layers: int, heads: int, kv_heads: int, mlp: int, vocab: int, tied: bool
) -> Model:
    return Model(
        id="other/model",
        kind="decoder",
        params_total=params,
        layers=layers,
        hidden_size=2048,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=64,
        vocab_size=vocab,
        intermediate_size=mlp,
        tied_embeddings=tied,
        source="config.json",
    )


TINY = llama_like(1_100_048_384, 22, 32, 4, 5632, 32_000, tied=False)
SMOL = llama_like(1_711_376_384, 24, 32, 32, 8192, 49_152, tied=True)


@pytest.mark.parametrize(
    ("model", "batch_size", "length", "efficient", "observed_mib"),
    [
        # fitcheck-llm 0.2.0 README: memory in use at the peak, Tesla T4, FP16, rank 32 on the attention.
        (TINY, 2, 512, False, 1849),
        (TINY, 2, 1024, False, 2876),
        (TINY, 2, 2048, False, 6655),
        (TINY, 2, 512, True, 1847),
        (TINY, 2, 1024, True, 2528),
        (TINY, 2, 2048, True, 3897),
        (SMOL, 4, 1024, False, 5297),
        (SMOL, 4, 1024, True, 5281),
        (catalog.model("Qwen2.5-1.5B"), 2, 1024, False, 6831),
        (catalog.model("Qwen2.5-1.5B"), 2, 1024, True, 6823),
    ],
)
def test_qlora_with_transformers_is_as_measured(
    model: Model, batch_size: int, length: int, efficient: bool, observed_mib: int
) -> None:
    need = fine_tuning_need(
        FineTuning(
            model,
            "qlora",
            precision="fp16",
            batch_size=batch_size,
            sequence_length=length,
            memory_efficient_attention=efficient,
            lora_rank=32,
            lora_targets="attention",
        )
    )
    alive = need.accelerator_gib - need.gib("runtime") - need.gib("fragmentation")
    # Between a whole layer's scores and the logits the peak shifts: 5 % there, 2 % elsewhere.
    assert alive * 1024 == pytest.approx(observed_mib, rel=0.02 if efficient else 0.07)


def errors() -> list[float]:
    found = []
    for name, method, accelerators, row in MEASURED:
        # Their scripts: ZeRO 3 for full and for several accelerators, and DeepSpeed (2) for QLoRA on one.
        sharded = 3 if method == "full" or accelerators > 1 else {"lora": 0, "qlora": 2}[method]
        for length, observed_gb in zip(LENGTHS, row, strict=False):
            work = FineTuning(
                QWEN[name],
                method,
                sequence_length=length,
                lora_rank=64,
                embeddings_in_fp32=False,
                accumulation_steps=8,
                loss="16-bit",
                accelerators=accelerators,
                zero_stage=sharded,
            )
            found.append(fine_tuning_need(work).total_gib * GIB / 1e9 / observed_gb - 1)
    return found


def test_57_published_runs_are_met_within_a_tenth_at_the_median() -> None:
    found = errors()
    assert len(found) == 57
    assert statistics.median(abs(each) for each in found) <= 0.10
    assert min(found) >= -0.25
    assert max(found) <= 0.35


@pytest.mark.parametrize(
    ("observed_gib", "work", "at_least", "at_most"),
    [
        # pytorch/torchtune README, Llama 3.2 3B in 16 bits alone, 2 × 4,096 tokens: peak of memory in use.
        (60.0, FineTuning(LLAMA_3B, "full", gradient_checkpointing=False), 1.0, 1.1),
        (24.9, FineTuning(LLAMA_3B, "full", loss="chunked"), 1.0, 1.1),
        # The README's LoRA and QLoRA also keep the checkpoints on the host: 1.3 GiB that are counted here.
        (8.5, FineTuning(LLAMA_3B, "lora", loss="chunked", optimizer="adamw"), 1.0, 1.3),
        (4.6, FineTuning(LLAMA_3B, "qlora", loss="chunked", embeddings_in_fp32=False), 1.0, 1.5),
    ],
)
def test_what_torchtune_measured_is_met_or_exceeded(
    observed_gib: float, work: FineTuning, at_least: float, at_most: float
) -> None:
    run = replace(work, master_weights=False, optimizer="adamw-bf16", batch_size=2, sequence_length=4096)
    need = fine_tuning_need(run)
    alive = need.accelerator_gib - need.gib("runtime") - need.gib("fragmentation")
    assert at_least <= alive / observed_gib <= at_most


def test_full_fine_tuning_takes_16_bytes_a_parameter_and_more_than_100_gb_for_7b() -> None:
    need = fine_tuning_need(FineTuning(LLAMA, "full"))
    states = need.gib("weights") + need.gib("gradients") + need.gib("optimizer")
    assert states * GIB == pytest.approx(16 * 6_738_417_664)
    assert states * GIB > 100e9
    assert "108 GB in all before activations" in need.reason
    assert not need.fits(catalog.accelerator("H100-80", "SXM5"))


def test_an_adapter_has_rank_rows_and_columns_beside_every_projection() -> None:
    # Llama 2 7B: rank 16 · (4 · 2 · 4,096 of the attention + 3 · (4,096 + 11,008) of the MLP) · 32 layers.
    assert trained_params(FineTuning(LLAMA)) == 16 * (4 * 8192 + 3 * 15_104) * 32 == 39_976_960
    assert trained_params(FineTuning(LLAMA, lora_targets="attention")) == 16 * 4 * 8192 * 32
    # Llama 3.1 70B: queries 8,192 wide, keys and values 8 heads · 128.
    expected = 16 * (2 * (8192 + 8192) + 2 * (8192 + 1024)) * 80
    assert trained_params(FineTuning(catalog.model("Llama-3.1-70B"), lora_targets="attention")) == expected


def test_checkpointing_keeps_one_width_a_layer_and_the_larger_of_a_layer_and_the_logits() -> None:
    work = FineTuning(LLAMA, sequence_length=1024)
    kept = 32 * 1024 * 4096 * 2
    layer = 1024 * ((4 + 2 + 2) * 4096 * 2 + 4 * 11_008 * 2 + 2 * 4096 * 4)
    head = 1024 * (32_000 * 16 + 4096 * 48)
    assert layer < head
    assert activations_bytes(work) == kept + head
    assert activations_bytes(replace(work, loss="chunked")) == kept + layer
    assert activations_bytes(replace(work, gradient_checkpointing=False)) == 32 * layer + head


def test_scores_written_out_take_18_bytes_for_each_pair_of_tokens_and_head() -> None:
    plain, written = (
        activations_bytes(FineTuning(LLAMA, loss="chunked", memory_efficient_attention=each))
        for each in (True, False)
    )
    assert written - plain == 32 * 2048**2 * 18


def test_gradients_come_as_activations_go_unless_batches_are_accumulated() -> None:
    # One batch: the gradients, 12.6 GiB, are larger than the activations; beside them there is one layer's.
    one, several = (fine_tuning_need(FineTuning(LLAMA, "full", accumulation_steps=each)) for each in (1, 2))
    assert one.gib("activations") * GIB == 2048 * ((4 + 2 + 2) * 4096 * 2 + 4 * 11_008 * 2 + 2 * 4096 * 4)
    assert several.gib("activations") * GIB == activations_bytes(FineTuning(LLAMA, "full"))


def test_qlora_keeps_the_layers_in_4_bits_and_the_embeddings_in_32() -> None:
    need = fine_tuning_need(FineTuning(LLAMA, "qlora"))
    embeddings = 2 * 32_000 * 4096
    expected = (6_738_417_664 - embeddings) * 4.5 / 8 + embeddings * 4 + 39_976_960 * 4
    assert need.gib("weights") * GIB == pytest.approx(expected)


def test_lora_on_7b_fits_the_documented_16_gb_and_nothing_smaller_is_offered() -> None:
    t4 = catalog.accelerator("T4")
    for method in ("lora", "qlora"):
        need = fine_tuning_need(FineTuning(LLAMA, method, precision="fp16", sequence_length=512))
        assert need.floor_gib == 16
        assert need.fits(t4)
        assert "12 GB" in (need.lack(replace(t4, memory_gib=12)) or "")
    assert fine_tuning_need(FineTuning(LLAMA_3B)).floor_gib == 0


def test_sharding_divides_what_its_stage_says() -> None:
    one = fine_tuning_need(FineTuning(LLAMA, "full"))
    for stage, shared in enumerate(
        [(), ("optimizer",), ("optimizer", "gradients"), ("optimizer", "gradients", "weights")]
    ):
        four = fine_tuning_need(FineTuning(LLAMA, "full", accelerators=4, zero_stage=stage))
        for name in ("optimizer", "gradients", "weights"):
            assert four.gib(name) == pytest.approx(one.gib(name) / (4 if name in shared else 1))


def test_full_fine_tuning_of_7b_fits_eight_a100_with_everything_shared_and_not_one() -> None:
    a100 = catalog.accelerator("A100-80", "SXM4")
    assert fine_tuning_need(FineTuning(LLAMA, "full", accelerators=8, zero_stage=3)).fits(a100)
    assert not fine_tuning_need(FineTuning(LLAMA, "full")).fits(a100)


def test_an_optimizer_on_the_host_moves_its_states_there() -> None:
    here, there = (
        fine_tuning_need(FineTuning(LLAMA, "full", optimizer_on_host=each)) for each in (False, True)
    )
    assert there.gib("optimizer") == 0
    assert there.host_gib - here.host_gib == pytest.approx(here.gib("optimizer"))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (FineTuning(catalog.model("FLUX.1-dev")), "of kind diffusion"),
        (FineTuning(LLAMA, "prefix"), "not known"),
        (FineTuning(LLAMA, optimizer="lion"), "not known"),
        (FineTuning(LLAMA, zero_stage=4), "not known"),
        (FineTuning(LLAMA, lora_rank=0), "above zero"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: FineTuning, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fine_tuning_need(work)


works = st.builds(
    FineTuning,
    model=st.sampled_from(MODELS),
    method=st.sampled_from(["full", "lora", "qlora"]),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    master_weights=st.booleans(),
    optimizer=st.sampled_from(["adamw", "adamw-bf16", "adamw-8bit", "sgd"]),
    batch_size=st.integers(1, 16),
    sequence_length=st.integers(16, 32_768),
    gradient_checkpointing=st.booleans(),
    accumulation_steps=st.integers(1, 3),
    loss=st.sampled_from(["fp32", "16-bit", "chunked"]),
    memory_efficient_attention=st.booleans(),
    lora_rank=st.sampled_from([8, 64, 256]),
    lora_targets=st.sampled_from(["attention", "all"]),
    accelerators=st.sampled_from([1, 2, 4, 8]),
    zero_stage=st.integers(0, 3),
    optimizer_on_host=st.booleans(),
)


@given(works, st.integers(1, 16), st.integers(0, 4096))
def test_a_bigger_batch_or_a_longer_sequence_never_needs_less(
    work: FineTuning, more: int, tokens: int
) -> None:
    larger = replace(work, batch_size=work.batch_size + more, sequence_length=work.sequence_length + tokens)
    assert fine_tuning_need(larger).accelerator_gib > fine_tuning_need(work).accelerator_gib


@given(works)
def test_frozen_weights_of_fewer_bits_never_take_more(work: FineTuning) -> None:
    sizes = [
        fine_tuning_need(replace(work, method=method, precision=precision)).gib("weights")
        for method, precision in (("qlora", "bf16"), ("lora", "bf16"), ("lora", "fp32"))
    ]
    assert sizes == sorted(sizes)


@given(works)
def test_no_saving_ever_costs_memory(work: FineTuning) -> None:
    plain = fine_tuning_need(work).accelerator_gib
    for saving in (
        {"gradient_checkpointing": True},
        {"loss": "chunked"},
        {"memory_efficient_attention": True},
        {"optimizer_on_host": True},
    ):
        # With one layer a checkpoint could cost more than it saves; no model of the catalog has so few.
        assert fine_tuning_need(replace(work, **saving)).accelerator_gib <= plain * (1 + 1e-9)


@given(works)
def test_a_larger_rank_never_needs_less(work: FineTuning) -> None:
    larger = replace(work, lora_rank=work.lora_rank * 2)
    assert fine_tuning_need(larger).accelerator_gib >= fine_tuning_need(work).accelerator_gib


@given(works)
def test_more_accelerators_never_need_more_on_each(work: FineTuning) -> None:
    more = replace(work, accelerators=work.accelerators * 2)
    assert fine_tuning_need(more).accelerator_gib <= fine_tuning_need(work).accelerator_gib * (1 + 1e-9)
