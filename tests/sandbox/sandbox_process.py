"""A provider process, asked as Pulumi's engine asks."""

from __future__ import annotations

import subprocess
import sys

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc


class ProviderProcess:
    """A provider as the engine starts and asks it."""

    def __init__(self, package: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "gpuwright.sandbox.provider", package, "127.0.0.1:1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"), timeout=30)

    def close(self) -> int:
        """Cancel it, and return its exit code."""
        self.stub.Cancel(empty_pb2.Empty())
        code = self.process.wait(30)
        self.channel.close()
        assert self.process.stdout
        self.process.stdout.close()
        return code
