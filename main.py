"""The command line of spikingconvnet, see ``main.py --help``."""

if __name__ == "__main__":
    try:
        import sys

        from spikingconvnet.__main__ import main

        sys.exit(main())
    except KeyboardInterrupt:       # before signals are watched
        raise SystemExit(130) from None
