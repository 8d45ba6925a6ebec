"""Stands in for nvidia-smi on a machine with ACCELERATORS devices."""

import os
import sys
from pathlib import Path

with (Path(os.environ["ROOT"]) / "nvidia-smi.calls").open("a") as log:
    print("\x1f".join(sys.argv[1:]), file=log)
if "ACCELERATORS" not in os.environ:
    sys.exit("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
if any(word.startswith("--query-gpu") for word in sys.argv):
    for _ in range(int(os.environ["ACCELERATORS"])):
        print("NVIDIA A10G, 23028 MiB, 580.126.09")
