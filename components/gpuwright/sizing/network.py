"""Bytes on the wire: what a request and its answer weigh, and the bandwidth that a service should have."""

from __future__ import annotations

PROTOCOL_BYTES_PER_TOKEN = 250
"""Bytes on the wire for one streamed token: a server-sent event with its JSON. Estimate."""

PROMPT_BYTES_PER_TOKEN = 4
"""Bytes of text for one prompt token in English. Rule of thumb of tokenizers' documentation."""

MINIMUM_PUBLIC_MBPS = 50
"""Mbit/s of public bandwidth that the documents ask of an API that many use; 10 do for one user's experiments."""

MINIMUM_PRIVATE_MBPS = 1000
"""Mbit/s that the documents ask between instances."""


def request_bytes(prompt_tokens: int) -> int:
    """Return what a prompt of that many tokens weighs on the wire."""
    return prompt_tokens * PROMPT_BYTES_PER_TOKEN


def response_bytes(output_tokens: int) -> int:
    """Return what a streamed answer of that many tokens weighs on the wire."""
    return output_tokens * PROTOCOL_BYTES_PER_TOKEN


def bandwidth_mbps(requests_per_second: float, request_bytes: float, response_bytes: float) -> float:
    """Return the bandwidth that requests and their answers take in both directions, Mbit/s."""
    return requests_per_second * (request_bytes + response_bytes) * 8 / 1e6


def required_mbps(taken_mbps: float, *, public: bool) -> float:
    """Return the bandwidth to have: what is taken, and no less than the documents ask.

    Args:
        taken_mbps: What requests and answers take.
        public: Whether they come from the internet, or from other instances.
    """
    return max(taken_mbps, MINIMUM_PUBLIC_MBPS if public else MINIMUM_PRIVATE_MBPS)


def transfer_seconds(size_bytes: float, mbps: float) -> float:
    """Return how long that many bytes take: 5 MB at 1 Mbit/s are 40 s, at 100 Mbit/s 0.4 s."""
    return size_bytes * 8 / (mbps * 1e6)
