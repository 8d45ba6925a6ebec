"""Resources as an engine would register them, and the tags that a planned machine has."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from policy_samples import LAUNCH_TEMPLATE, STORE, urn

from gpuwright_policies.readers.pulumi_resources import Resource


@pytest.fixture
def serving_tags() -> dict[str, str]:
    return {
        "gpuwright:model": "Qwen/Qwen2.5-7B",
        "gpuwright:weights-precision": "bf16",
        "gpuwright:kv-cache-precision": "bf16",
        "gpuwright:max-model-len": "4096",
        "gpuwright:prompt-tokens": "1000",
        "gpuwright:output-tokens": "300",
        "gpuwright:concurrency": "8",
        "gpuwright:tensor-parallel-size": "1",
        "gpuwright:gpu-memory-utilization": "0.9",
        "gpuwright:disk-required-gb": "160",
        "gpuwright:model-store": STORE,
    }


@pytest.fixture
def template_props(serving_tags: dict[str, str]) -> dict[str, Any]:
    """A launch template that every rule passes, as the wire carries it: floats, flags as text."""
    script = f"#cloud-config\nruncmd: [aws s3 sync {STORE}/ /var/lib/model]\n"
    return {
        "name": "shop-template",
        "instanceType": "g5.4xlarge",
        "tags": serving_tags,
        "tagSpecifications": [{"resourceType": "instance", "tags": serving_tags}],
        "metadataOptions": {
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1.0,
            "httpEndpoint": "enabled",
        },
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {"encrypted": "true", "volumeSize": 500.0, "volumeType": "gp3"},
            }
        ],
        "userData": base64.b64encode(script.encode()).decode(),
    }


@pytest.fixture
def template(template_props: dict[str, Any]) -> Callable[..., Resource]:
    """Make the launch template, with some properties changed; None takes one away."""

    def make(**changes: Any) -> Resource:
        props = {key: value for key, value in (template_props | changes).items() if value is not None}
        return Resource.of(LAUNCH_TEMPLATE, urn(LAUNCH_TEMPLATE, "template"), props)

    return make
