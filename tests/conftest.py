"""Settings of every test."""

from __future__ import annotations

import os

from hypothesis import settings

# No test asserts a time, and a busy machine is no failure. Under CI hypothesis has a profile of its own: the same
# examples each time, and no deadline either.
settings.register_profile("here", deadline=None)
if "CI" not in os.environ:
    settings.load_profile("here")
