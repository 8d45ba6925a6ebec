"""A plan in words: for a terminal, and for a pull request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from gpuwright.layout import bar, columns, counted
from gpuwright.planning.plan import Plan, Rejected

SHOWN_DEARER = 4
"""Shapes dearer than the chosen one that a short report shows."""


def to_text(plan: Plan, *, every_shape: bool = False) -> str:
    """Return the plan for a terminal of 100 columns and more.

    Args:
        every_shape: List every shape that was turned down, not only the cheaper ones and the next few.
    """
    return "\n".join(_text(plan, every_shape)) + "\n"


def to_markdown(plan: Plan) -> str:
    """Return the plan for a pull request or a page, with every shape that was turned down."""
    return "\n".join(_markdown(plan)) + "\n"


def _text(plan: Plan, every_shape: bool) -> Iterator[str]:
    yield f"{plan.name}: {plan.model.id} in {plan.weights_precision}, on {_place(plan)}"
    yield ""
    yield from columns(_summary(plan), indent=2)
    yield ""
    yield f"Memory of a replica: {plan.sizing.total_gib:.1f} of {plan.sizing.usable_gib:.1f} GiB usable"
    yield f"  {_bar(plan)}"
    yield from columns(_memory(plan), indent=2)
    yield ""
    speed = plan.performance
    yield f"Speed of a replica at {counted(speed.concurrency_per_replica, 'request')} in flight ({speed.basis})"
    yield from columns(_speed(plan), indent=2)
    yield ""
    yield f"Cold start: {plan.cold_start_seconds} s"
    yield from columns(((step.name, f"{step.seconds} s", step.basis) for step in plan.cold_start), indent=2)
    yield ""
    yield _bill_title(plan)
    yield from columns(_bill(plan), indent=2)
    yield ""
    yield "Ways to pay for the machines"
    yield from columns(_purchases(plan), indent=2)
    yield ""
    yield "Why"
    yield from (f"  - {reason}" for reason in plan.reasons)
    if plan.warnings:
        yield ""
        yield "Mind"
        yield from (f"  - {warning}" for warning in plan.warnings)
    yield ""
    yield from _turned_down(plan, every_shape)
    yield ""
    yield "Where the values came from"
    yield from columns(((origin, ", ".join(fields)) for origin, fields in _by_origin(plan)), indent=2)


def _summary(plan: Plan) -> Iterator[tuple[str, str]]:
    device, cost, disk, network = plan.accelerator, plan.cost, plan.disk, plan.network
    yield (
        "instance type",
        f"{plan.instance_type}: {device.count} × {device.name} {device.memory_gib} GiB, {plan.vcpus} vCPU, "
        f"{plan.memory_gib:g} GiB RAM",
    )
    yield "replicas", f"{plan.replicas.min} to {plan.replicas.max}, {plan.purchase_option}"
    yield (
        "cost",
        f"{cost.usd_per_hour:,.2f} USD/h, {cost.usd_per_month:,.0f} USD a month, "
        f"{cost.usd_per_1000_inferences:.3f} USD per 1,000 inferences at {cost.requests_per_second:.2f}/s",
    )
    yield "", f"machines only; price of {cost.price_region}, {cost.price_date} ({cost.basis})"
    yield (
        "all in",
        f"{cost.usd_per_hour_all_in:,.2f} USD/h, {cost.usd_per_month_all_in:,.0f} USD a month, "
        f"{cost.usd_per_1000_inferences_all_in:.3f} USD per 1,000 inferences, "
        f"{cost.usd_per_million_tokens_all_in:.3f} per million tokens",
    )
    volume = f"{disk.size_gb} GB {disk.type}, {disk.iops} IOPS, {disk.throughput_mib_per_s} MiB/s"
    yield "disk", f"{volume}; {disk.required_gb} GB needed ({disk.basis})"
    gateways = f"{network.nat_gateways} NAT gateway{'s' if network.nat_gateways > 1 else ''}"
    endpoint = f"{'public' if network.public else 'internal'} endpoint"
    traffic = (
        f"{network.bandwidth_mbps:.1f} of {network.required_mbps:,.0f} Mbit/s ({network.bandwidth_basis})"
    )
    yield "network", f"{network.zones} zones, {gateways}, {endpoint}, {traffic}"
    yield "model cache", plan.model.store_prefix
    yield "server", f"{plan.server.name} {plan.server.version}, {plan.server.image.partition('@')[2][:19]}…"
    yield from (("" if at else "started with", pair) for at, pair in enumerate(_pairs(plan.server.arguments)))
    yield "plan digest", plan.digest


def _place(plan: Plan) -> str:
    return f"{plan.cloud} {plan.region} for {plan.environment}"


def _pairs(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, three with their values on a line."""
    return [" ".join(arguments[at : at + 6]) for at in range(0, len(arguments), 6)]


def _memory(plan: Plan) -> Iterator[tuple[str, str, str]]:
    sizing, basis = plan.sizing, plan.sizing.basis
    yield "weights", f"{sizing.weights_gib:6.2f} GiB", basis["weights_gib"]
    yield "KV cache needed", f"{sizing.kv_cache_gib:6.2f} GiB", basis["kv_cache_gib"]
    yield "activations", f"{sizing.activations_gib:6.2f} GiB", basis["activations_gib"]
    yield "runtime", f"{sizing.runtime_gib:6.2f} GiB", basis["runtime_gib"]
    holds = f"{sizing.kv_cache_tokens:,} tokens at {sizing.kv_cache_bytes_per_token:,} bytes"
    yield "KV cache holds", holds, basis["kv_cache_tokens"]
    yield (
        "which is",
        f"{sizing.max_concurrency} requests of {plan.prompt_tokens} + {plan.output_tokens} tokens",
        "",
    )


def _speed(plan: Plan) -> Iterator[tuple[str, str]]:
    speed = plan.performance
    yield "time to first token", f"{speed.time_to_first_token_ms:.0f} ms"
    yield "time per output token", f"{speed.time_per_output_token_ms:.1f} ms"
    roof = f"no more than {speed.roofline_output_tokens_per_second:.0f} on this hardware"
    yield "output", f"{speed.output_tokens_per_second:.0f} tokens/s ({roof})"
    yield "finished", f"{speed.requests_per_second:.2f} requests/s"


def _bill_title(plan: Plan) -> str:
    cost, band = plan.cost, plan.cost.band
    span = f"{band.usd_per_month_low:,.0f} to {band.usd_per_month_high:,.0f}"
    return (
        f"Cost of a month, all in: {cost.usd_per_month_all_in:,.0f} USD ({span}: {'; '.join(band.reasons)})"
    )


def _bill(plan: Plan) -> Iterator[tuple[str, str]]:
    cost = plan.cost
    for part in cost.parts:
        yield part.name, f"{part.usd_per_month:10,.2f} USD"
    if cost.duty_cycle < 1:
        yield "of the machines idle", f"{cost.idle_share:9.0%}"


def _purchases(plan: Plan) -> Iterator[tuple[str, str, str, str, str]]:
    for each in plan.cost.purchases:
        even = f"pays from month {each.break_even_months:g}" if each.break_even_months else ""
        hourly = f"{each.instance_usd_per_hour:8.3f} USD/h each"
        yield each.option, hourly, f"{each.usd_per_month:10,.0f} USD a month", each.basis, even


def _bar(plan: Plan) -> str:
    sizing = plan.sizing
    parts = (
        ("W", "weights", sizing.weights_gib),
        ("K", "KV cache", sizing.kv_cache_gib),
        ("A", "activations", sizing.activations_gib),
        ("R", "runtime", sizing.runtime_gib),
    )
    return bar(parts, sizing.usable_gib)


def _turned_down(plan: Plan, every_shape: bool) -> Iterator[str]:
    rejected = plan.rejected
    yield f"Turned down: {len(rejected)} shapes, the cheapest machine first"
    cheaper = sum(
        (each.usd_per_hour or 0) < plan.cost.instance_usd_per_hour for each in rejected if each.usd_per_hour
    )
    shown = rejected if every_shape else rejected[: cheaper + SHOWN_DEARER]
    yield from columns(
        ((each.instance_type, _price(each), each.rule, _detail(each)) for each in shown), indent=2
    )
    if len(shown) < len(rejected):
        yield f"  … and {len(rejected) - len(shown)} dearer ones; --all lists them"


def _price(rejected: Rejected) -> str:
    return f"{rejected.usd_per_hour:8.3f} USD/h" if rejected.usd_per_hour else "no price"


def _detail(rejected: Rejected) -> str:
    return rejected.detail + (f" (also {', '.join(rejected.also)})" if rejected.also else "")


def _by_origin(plan: Plan) -> list[tuple[str, list[str]]]:
    fields: dict[str, list[str]] = defaultdict(list)
    for field, origin in plan.origins.items():
        fields[origin].append(field)
    return list(fields.items())


def _markdown(plan: Plan) -> Iterator[str]:
    yield f"## {plan.name}: {plan.model.id} on {_place(plan)}"
    yield ""
    yield from _table(("", "plan"), _joined(_summary(plan)))
    yield ""
    yield from _table(("memory of a replica", "", "basis"), _memory(plan))
    yield ""
    yield from _table(("speed of a replica", plan.performance.basis), _speed(plan))
    yield ""
    yield from _table(
        ("cold start", f"{plan.cold_start_seconds} s", "basis"),
        ((step.name, f"{step.seconds} s", step.basis) for step in plan.cold_start),
    )
    yield ""
    yield from _table((_bill_title(plan), "a month"), _bill(plan))
    yield ""
    yield from _table(("ways to pay for the machines", "", "", "basis", ""), _purchases(plan))
    yield ""
    yield "### Why"
    yield ""
    yield from (f"- {reason}" for reason in plan.reasons)
    if plan.warnings:
        yield ""
        yield "### Mind"
        yield ""
        yield from (f"- {warning}" for warning in plan.warnings)
    yield ""
    yield f"<details><summary>Turned down: {len(plan.rejected)} shapes</summary>"
    yield ""
    yield from _table(
        ("shape", "price", "rule", "what is, what must be"),
        ((each.instance_type, _price(each).strip(), each.rule, _detail(each)) for each in plan.rejected),
    )
    yield ""
    yield "</details>"
    yield ""
    yield "### Where the values came from"
    yield ""
    yield from _table(("from", "fields"), ((origin, ", ".join(names)) for origin, names in _by_origin(plan)))


def _joined(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the rows, those without a name joined to the one before."""
    joined: list[tuple[str, str]] = []
    for name, text in rows:
        if name or not joined:
            joined.append((name, text))
        else:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {text}")
    return joined


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    yield from ("| " + " | ".join(cell.strip().replace("|", "\\|") for cell in row) + " |" for row in rows)
