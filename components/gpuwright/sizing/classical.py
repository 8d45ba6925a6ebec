"""What gradient-boosted trees need: no accelerator, some vCPU and memory, and why.

Its constants were measured with xgboost-cpu 3.2.0 on one thread of a shared two-vCPU machine (2026-11-22): 200 trees
of depth 8 on 50 features; a machine of another make differs by a factor of two either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuwright.errors import InputError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.need import Need, Part, choice, positive
from gpuwright.sizing.servers.budget import GIB

SECONDS_PER_STEP = 2.5e-9
"""Seconds of one thread to take one row one level down one tree, in batches of 1,000 rows or more (2.2 to 2.5)."""

SECONDS_PER_CALL = 0.45e-3
"""Seconds of one thread that a prediction takes however small it is (0.43 ms for one row)."""

TRAINING_SECONDS_PER_STEP = 22e-9
"""Seconds of one thread to find the split of one row, feature and level, histogram method: 12.7 s on two threads for
200,000 rows, 50 features, 30 trees of depth 8 come to 11; the machine was shared, so twice that is assumed."""

BYTES_PER_NODE = 73
"""Bytes of one node in memory: 36.5 in the file, and twice that while it is loaded."""

TRAINING_BYTES_PER_VALUE = 10
"""Bytes of host memory for one value of the table while training: the peak grew by 9.1 from 50,000 to 200,000 rows."""

VALUE_BYTES = 4
"""Bytes of one value of a row to be predicted."""

PROCESS_GIB = 0.5
"""GiB of a Python process with its web server and the library. Estimate; the bare library took 57 MiB."""

UTILIZATION = 0.6
"""Part of the vCPU that may be busy so that requests seldom wait. Rule of thumb."""

TASKS = ("inference", "training")


@dataclass(frozen=True)
class Classical:
    """Gradient-boosted trees to serve or to train.

    Args:
        task: inference or training.
        trees: Trees in all (rounds × classes).
        depth: Levels of a tree.
        features: Columns of the table.
        requests_per_second: Predictions asked for; inference only.
        rows_per_request: Rows in each of them; inference only.
        rows: Rows of the table; training only.
        training_seconds: Time that the training may take; training only.
    """

    task: str = "inference"
    trees: int = 500
    depth: int = 8
    features: int = 50
    requests_per_second: float = 100.0
    rows_per_request: int = 1
    rows: int = 1_000_000
    training_seconds: float = 3600.0


def classical_need(work: Classical) -> Need:
    """Return the vCPU and memory of a machine without an accelerator.

    Raises:
        InputError: A value is out of range.
    """
    _check(work)
    nodes = work.trees * (2 ** (work.depth + 1) - 1)
    model = Part("model", nodes * BYTES_PER_NODE / GIB, Basis.CALIBRATED)
    if work.task == "training":
        values = work.rows * work.features
        busy = values * work.trees * work.depth * TRAINING_SECONDS_PER_STEP / work.training_seconds
        data = Part("data", values * TRAINING_BYTES_PER_VALUE / GIB, Basis.CALIBRATED)
        vcpus = max(2, math.ceil(busy))
        processes = 1
    else:
        steps = work.rows_per_request * work.trees * work.depth
        busy = work.requests_per_second * (SECONDS_PER_CALL + steps * SECONDS_PER_STEP) / UTILIZATION
        vcpus = max(2, math.ceil(busy))
        # Each vCPU is a process of its own, with its own copy of the model and the rows it works on.
        processes = vcpus
        model = Part(model.name, model.gib * processes, model.basis)
        rows = processes * work.rows_per_request * work.features * VALUE_BYTES
        data = Part("data", rows / GIB, Basis.DERIVED)
    return Need(
        parts=(),
        accelerators=0,
        floor_gib=0,
        host=(model, data, Part("runtime", PROCESS_GIB * processes, Basis.ESTIMATED)),
        vcpus=vcpus,
        reason=(
            "Trees are walked by comparisons, not multiplied: a CPU does it in microseconds, and an accelerator "
            "would wait for the rows."
        ),
    )


def _check(work: Classical) -> None:
    choice("task", work.task, TASKS)
    positive(
        trees=work.trees,
        depth=work.depth,
        features=work.features,
        requests_per_second=work.requests_per_second,
        rows_per_request=work.rows_per_request,
        rows=work.rows,
        training_seconds=work.training_seconds,
    )
    if work.depth > 30:
        raise InputError.of(
            "depth", f"A full tree of {work.depth} levels has too many nodes.", "Give 30 or less."
        )
