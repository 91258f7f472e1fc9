"""Completion for shells: a script that shtab makes of the parser, so that a Tab starts no Python."""

from argparse import ArgumentParser

from spikingconvnet.gates.libraries import need

SHELLS = ("bash", "zsh", "tcsh")


def script(parser: ArgumentParser, shell: str) -> str:
    """What a shell has to read to complete modes, options, their values and files.

    Raises
    ------
    BackendError
        shtab is not installed.
    """
    need("shtab", "--completion", "completion")
    import shtab

    for action in parser._actions:
        if str(action.metavar).startswith(("FILE", "DIR", "PATH")):
            action.complete = shtab.FILE        # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))
