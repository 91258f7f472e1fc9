"""The command line as a process: ``python -m spikingconvnet``, ``spikingconvnet`` and ``main.py``."""

try:
    import os
    import sys
    from collections.abc import Sequence

    from spikingconvnet.errors import SurroundingsError
    from spikingconvnet.gates import surroundings
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(args: Sequence[str] | None = None) -> int | None:
    """Run one command in a process of its own: its exit code. What is heavy is imported under the signals' watch."""
    signals = surroundings.Signals()
    surroundings.settle()
    try:
        with surroundings.told():
            surroundings.require_memory()
            from spikingconvnet.cli.main import main as command
        try:
            with signals:
                signals.code = signals.judged(command(args))
        except SystemExit as stop:          # argparse
            signals.code = int(stop.code or 0)
        surroundings.say_on_stdout()
    except SurroundingsError as error:
        print(f"error: {error}", file=sys.stderr)
        signals.code = error.exit_code
    except surroundings.Stopped as stop:        # between two handlers
        signals.leave(stop.number)
    except MemoryError:                 # not even for the sentence
        os.write(2, surroundings.NO_MEMORY)
        signals.code = SurroundingsError.exit_code
    return signals.code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:       # before signals are watched
        raise SystemExit(130) from None
