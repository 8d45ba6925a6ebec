"""``python -m gpuwright``: the same as the ``gpuwright`` command."""

from gpuwright.cli import main

main()
