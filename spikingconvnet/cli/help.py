"""Help: the modes with a line each, or what belongs to one of them."""

import argparse
import textwrap

from spikingconvnet.cli.arguments import add
from spikingconvnet.cli.table import MODES, NO_MODE, OPTIONS, RUNS, Mode, Option

EXIT_CODES = (      # code, modes or all, what it means
    ("0", (), "done"),
    ("1", (), "an error inside the program, with a traceback"),
    ("2", (), "wrong usage, a parameter that cannot be used or is not, a layer that never fires"),
    ("2", ("check", "import"), "or the networks do not fit the target"),
    ("3", (), "a simulator, a board or a library that is missing, cannot be reached or does not compute"),
    ("3", ("doctor",), "or something is broken"),
    ("4", (), "bad data"),
    ("5", RUNS, "a run directory or an earlier step is missing, or holds results of other settings, or another command"
                " writes there"),
    ("5", ("compare",), "two recordings that cannot be compared"),
    ("6", (*RUNS, "import"), "a run on a board is invalid, or what it stands on; results are not stored without"
                             " --force"),
    ("7", (*RUNS, "import"), "with --strict: a run on a board is suspect, or what it stands on"),
    ("8", ("compare",), "the two differ"),
    ("9", (), "the system refuses something: rights, room, memory, open files, a path that cannot be, stdout that"
              " cannot be written"),
    ("130, 143, 129", (), "interrupted by Ctrl-C, SIGTERM or the end of the terminal; what was finished is kept, the"
                          " same command goes on"))


def help_text(mode: str | None, program: str) -> str:
    """What ``--help`` shows, for a mode or of all.

    Parameters
    ----------
    mode : str or None
        None lists the modes.
    program : str
        As it is called.
    """
    return _of_all(program) if mode is None else _of_mode(MODES[mode], program)


def _of_all(program: str) -> str:
    lines = [f"{mode.name:<10} {mode.help}" for mode in MODES.values()]
    return "\n".join((
        f"usage: {program} --mode MODE [PATHS] [OPTIONS]", "",
        "Layer-wise STDP spiking convolutional networks on SpiNNaker.", "", "modes:", *(f"  {line}" for line in lines),
        "", "options without a mode:", *(f"  {one.flag:<14} {one.help}" for one in OPTIONS if one.modes == NO_MODE), "",
        f"options and examples of a mode: {program} --mode MODE --help"))


def _of_mode(mode: Mode, program: str) -> str:
    call = f"{program} --mode {mode.name}"
    made = argparse.ArgumentParser(
        usage=" ".join(filter(None, (call, mode.paths, "[OPTIONS]"))), add_help=False, epilog=_epilog(mode, call),
        description=f"{mode.help[0].upper()}{mode.help[1:]}.", formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = {title: made.add_argument_group(title) for title in ("options", "experiment", "machine", "output")}
    for option in OPTIONS:
        if not option.modes or {mode.name, f"{mode.name} FILE"} & set(option.modes):
            add(groups[_title(option)], option)
    return made.format_help().rstrip()


def _title(option: Option) -> str:
    if option.needs_board or option.flag in ("--backend", "--cluster"):
        return "machine"
    return "output" if not option.modes else "experiment" if option.modes == RUNS else "options"


def _epilog(mode: Mode, call: str) -> str:
    examples = "\n".join(f"  {call} {words}".rstrip() for words in mode.examples)
    return f"examples:\n{examples}\n\nexit codes:\n" + "\n".join(
        textwrap.fill(text, 100, initial_indent=f"  {code}  ", subsequent_indent=" " * 5)
        for code, modes, text in EXIT_CODES if mode.name in (modes or MODES))
