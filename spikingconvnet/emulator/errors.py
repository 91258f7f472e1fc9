"""What can go wrong in and around the emulated machine; each error names the part, the address or the value."""


class EmulatorError(Exception):
    """Base of every error that the emulator raises on purpose (exit code 1)."""

    exit_code = 1


class SetupError(EmulatorError, RuntimeError):
    """The board cannot be started here: a missing library, no free address, a bad option (exit code 2)."""

    exit_code = 2


class BusError(EmulatorError, LookupError):
    """An access to an address or register that the machine does not have."""


class ImageError(EmulatorError, ValueError):
    """An APLX image that no core could load."""


class CorruptError(EmulatorError, ValueError):
    """A data structure in the machine's memory that is not what SARK would have left there."""


class SnapshotError(EmulatorError, ValueError):
    """A file that is no snapshot of a board, or none that this version reads; a board of which none can be taken."""


class BranchError(EmulatorError, RuntimeError):
    """Work in a branch (`branches.Branches`) that has failed: the traceback of its process."""
