"""gpuwright: from a short spec to GPU serving infrastructure that is right the first time."""
