"""A plan by hand, the payload rendered from it, and the files that the payload writes."""

from pathlib import Path
from typing import Any

import yaml

from gpuwright.boot import user_data
from gpuwright.planning.plan import Plan

DEPLOYMENT = {
    "log_group": "/gpuwright/chat-7b",
    "autoscaling_group_name": "chat-7b-dev",
    "lifecycle_hook_name": "chat-7b-ready",
}


def make_plan(**changes: Any) -> Plan:
    """Return a 7B plan on AWS; ``changes`` replace values, those of a part by ``part__field``."""
    document: dict[str, Any] = {
        "name": "chat-7b",
        "environment": "dev",
        "workload": "online",
        "cloud": "aws",
        "region": "us-east-1",
        "model": {
            "id": "qwen2.5-7b-instruct",
            "revision": "a09a35458c702b33eeacc393d103063234e8bc28",
            "params_total": 7_615_616_512,
            "store_prefix": "models/qwen2.5-7b-instruct/a09a35458c702b33eeacc393d103063234e8bc28",
        },
        "weights_precision": "bf16",
        "kv_cache_precision": "bf16",
        "max_model_len": 4096,
        "prompt_tokens": 512,
        "output_tokens": 256,
        "instance_type": "g5.4xlarge",
        "accelerator": {"name": "A10G", "count": 1, "memory_gib": 24},
        "vcpus": 16,
        "memory_gib": 64.0,
        "tensor_parallel_size": 1,
        "replicas": {"min": 1, "max": 3},
        "purchase_option": "on-demand",
        "disk": {
            "type": "gp3",
            "size_gb": 500,
            "required_gb": 120,
            "iops": 3000,
            "throughput_mib_per_s": 500,
            "basis": "estimated",
        },
        "network": {
            "zones": 2,
            "nat_gateways": 1,
            "public": False,
            "bandwidth_mbps": 1.0,
            "bandwidth_basis": "estimated",
            "request_bytes": 2048,
            "response_bytes": 64000,
            "required_mbps": 1000.0,
            "transfer_seconds": 0.0005,
            "idle_timeout_seconds": 300,
            "deregistration_delay_seconds": 120,
        },
        "server": {
            "name": "vllm",
            "version": "0.11.0",
            "image": "docker.io/vllm/vllm-openai@sha256:"
            "014a95f21c9edf6abe0aea6b07353f96baa4ec291c427bb1176dc7c93a85845c",
            "arguments": [
                "--served-model-name",
                "qwen2.5-7b-instruct",
                "--dtype",
                "bfloat16",
                "--max-model-len",
                "4096",
                "--gpu-memory-utilization",
                "0.9",
                "--tensor-parallel-size",
                "1",
                "--port",
                "8000",
            ],
            "port": 8000,
            "health_path": "/health",
        },
        "operations": {
            "deletion_protection": False,
            "log_retention_days": 14,
            "requests_per_target_per_minute": 60,
            "max_request_seconds": 60,
        },
        "host": {"vcpus_needed": 8, "memory_gib_needed": 48.0, "numa_nodes": 1, "basis": "estimated"},
        "sizing": {
            "weights_gib": 14.2,
            "kv_cache_bytes_per_token": 57344,
            "kv_cache_gib": 0.7,
            "kv_cache_tokens": 100_000,
            "activations_gib": 1.0,
            "runtime_gib": 1.5,
            "total_gib": 17.4,
            "usable_gib": 19.9,
            "gpu_memory_utilization": 0.9,
            "max_concurrency": 130,
            "basis": {},
        },
        "performance": {
            "concurrency_per_replica": 16,
            "time_to_first_token_ms": 200.0,
            "time_per_output_token_ms": 30.0,
            "output_tokens_per_second": 400.0,
            "requests_per_second": 1.5,
            "roofline_output_tokens_per_second": 600.0,
            "basis": "derived",
        },
        "cold_start": [
            {"name": "boot", "seconds": 60, "basis": "estimated"},
            {"name": "image", "seconds": 240, "basis": "estimated"},
            {"name": "weights", "seconds": 60, "basis": "derived"},
            {"name": "engine", "seconds": 120, "basis": "estimated"},
        ],
        "cost": {
            "usd_per_hour": 1.624,
            "requests_per_second": 1.0,
            "usd_per_month": 1185.5,
            "usd_per_1000_inferences": 0.3,
            "instance_usd_per_hour": 1.624,
            "price_region": "us-east-1",
            "price_date": "2026-07-20",
            "basis": "listed",
            "usd_per_million_tokens": 0.4,
            "duty_cycle": 1.0,
            "idle_share": 0.0,
            "usd_per_hour_all_in": 1.8,
            "usd_per_month_all_in": 1314.0,
            "usd_per_1000_inferences_all_in": 0.5,
            "usd_per_million_tokens_all_in": 0.6,
            "parts": [],
            "purchases": [],
            "band": {
                "usd_per_month_low": 1200.0,
                "usd_per_month_high": 1400.0,
                "usd_per_1000_inferences_low": 0.4,
                "usd_per_1000_inferences_high": 0.6,
                "reasons": [],
            },
            "services_price_date": None,
            "prices_outdated": None,
        },
        "tags": {},
        "origins": {},
        "reasons": [],
        "rejected": [],
    }
    for path, value in changes.items():
        *parts, field = path.split("__")
        holder = document
        for part in parts:
            holder = holder[part]
        holder[field] = value
    return Plan.from_json(document)


def render(plan: Plan, **changes: str) -> str:
    """Return the user data of a plan, with the names of a deployment that ``changes`` may replace."""
    uri = f"s3://chat-7b-models/{plan.model.store_prefix}"
    return user_data(plan, **{"model_store_uri": uri, **DEPLOYMENT, **changes})


def contents(payload: str) -> dict[str, str]:
    """Return the text of every file that the payload writes, by its path."""
    return {entry["path"]: entry["content"] for entry in yaml.safe_load(payload)["write_files"]}


def write(payload: str, root: Path) -> None:
    """Write the payload's files under a folder, as cloud-init does on the machine."""
    for entry in yaml.safe_load(payload)["write_files"]:
        path = root / entry["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry["content"])
        path.chmod(int(entry.get("permissions", "0644"), 8))
