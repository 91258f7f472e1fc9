"""The package's errors: each is one of ours and a standard one, and says what, where and the next command.

The command line turns them into one line on stderr and the exit code named here.
"""


from typing import Any

LONGEST = 400       # characters of a value in an error


class SpikingConvNetError(Exception):
    """Base of every error that the package raises on purpose (exit code 1)."""

    exit_code = 1


class SettingsError(SpikingConvNetError, ValueError):
    """A parameter, layer or command-line value that cannot be used (exit code 2)."""

    exit_code = 2


class BackendError(SpikingConvNetError, RuntimeError):
    """A simulator or board that is missing, cannot be reached or does not compute.

    Attributes
    ----------
    provenance : provenance.Provenance or None
        What a machine has said about the run that failed.
    """

    exit_code = 3
    provenance: Any = None          # of a rank above this one


class SimulationFailed(BackendError):
    """A simulator, board or cluster that failed while it was at work; what was finished is kept, so try again."""


class IncompleteRecording(BackendError):
    """A run that has come to its end, but of which the machine has recorded less than it was asked for."""


class DataError(SpikingConvNetError, ValueError):
    """A data set that is missing, damaged or of the wrong form (exit code 4)."""

    exit_code = 4


class StoreError(SpikingConvNetError, RuntimeError):
    """A run directory that lacks an earlier step, or holds results of other settings (exit code 5)."""

    exit_code = 5


class RunDirectoryInUse(StoreError):
    """A run directory that another process is writing."""


class ModelChanged(StoreError):
    """A run directory whose images have not the shape that the model of the parameters takes."""


class NetworkError(SpikingConvNetError, ValueError):
    """A netlist that no board could run (exit code 2)."""

    exit_code = 2


class HealthError(SpikingConvNetError, RuntimeError):
    """A run on a board whose numbers cannot be right (exit code 6)."""

    exit_code = 6


class SurroundingsError(SpikingConvNetError, OSError):
    """What the system refuses: no rights, no room, no memory, too few handles, a path that cannot be (exit code 9)."""

    exit_code = 9


def require(condition: object, owner: str, attribute: str, value: object, wanted: object,
            error: type[Exception] = SettingsError) -> None:
    """Raise ``owner.attribute: must be <wanted>, got <value>`` unless `condition` holds."""
    if not condition:
        raise error(f"{owner}.{attribute}: must be {wanted}, got {in_words(value)}")


def in_words(value: object) -> str:
    """The ``repr`` of a value, on one line of at most `LONGEST` characters."""
    try:
        text = repr(value)
    except ValueError:          # Python does not write whole numbers of more than 4300 digits
        text = f"{type(value).__name__} of too many digits"
    line = " ".join(text.split()) if "\n" in text else text
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
