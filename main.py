"""The command line of spikingconvnet, see ``main.py --help``."""
import sys

if __name__ == "__main__":
    try:
        from spikingconvnet.__main__ import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())
