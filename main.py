"""The command line of spikingconvnet, see ``main.py --help``."""
import sys

from spikingconvnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
