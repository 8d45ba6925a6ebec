"""The texts that gpuwright prints plans into; they decide nothing."""
