"""The console script: signals are watched when this is imported, before the script's next line calls :func:`main`."""

try:
    import os
    import sys

    from spikingconvnet.__main__ import main
    from spikingconvnet.gates.surroundings import Signals

    if os.path.basename(sys.argv[0]).startswith("spikingconvnet"):     # others, as tests, keep their own
        Signals()
except KeyboardInterrupt:
    raise SystemExit(130) from None

__all__ = ["main"]
