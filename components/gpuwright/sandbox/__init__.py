"""The embedded engine: run a Pulumi program in this process, and see all that it asked for.

from gpuwright.sandbox import preview_program

recording = preview_program("stacks/", config={"region": "eu-west-1"})
assert recording.one("LaunchTemplate").inputs["metadataOptions"]["httpTokens"] == "required"
"""

from __future__ import annotations

from gpuwright.sandbox.engine import ProgramError, preview_program, preview_stack
from gpuwright.sandbox.recording import Invocation, LogMessage, Recording, Resource
from gpuwright.sandbox.wire import UNKNOWN, Secret, Unknown, plain

__all__ = [
    "UNKNOWN",
    "Invocation",
    "LogMessage",
    "ProgramError",
    "Recording",
    "Resource",
    "Secret",
    "Unknown",
    "plain",
    "preview_program",
    "preview_stack",
]
