"""The emulated board as a command: ``python -m spikingconvnet.emulator``."""

import sys

from spikingconvnet.emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
