"""Scripts of a checkout, such as PyNNExamples, against the emulated board, each with a board and a limit of its own.

    python benchmarks/example_scripts.py PyNNExamples [--only TEXT ...] [--figures FOLDER]

Runs each script of the folders that PyNNExamples tests itself (`script_builder.py` there), or of --folders, as
``python -m spikingconvnet.emulator SCRIPT`` in its own folder of a copy, so nothing is written to the checkout. Figures
are drawn without a display; --figures keeps them. Prints the table, as `spynnaker_suite.py` does.
"""

import argparse
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from spynnaker_suite import PASSED, TIMED_OUT, UNTIL, Outcome, environment, simulated, table

FOLDERS = ("examples", "balanced_random", "learning", "synfire")
INSIDE = "--inside"                                 # FILE FOLDER SCRIPT: this process is that of a script


def scripts(checkout, folders):
    """Paths of all scripts, from the checkout's root."""
    found = [path for folder in folders for path in Path(checkout, folder).rglob("*.py") if path.name != "__init__.py"]
    return sorted(str(path.relative_to(checkout)) for path in found)


def inside(told, figures, script):
    """Be a script's process: keep its figures, and note what its board's clock says when it is over."""
    from matplotlib import pyplot

    def show(*_, **__):
        for number in pyplot.get_fignums():
            name = f"{Path(script).stem}-{len(list(Path(figures).glob(f'{Path(script).stem}-*')))}.png"
            pyplot.figure(number).savefig(Path(figures, name), dpi=60)
        pyplot.close("all")

    pyplot.show = show
    sys.argv, sys.path[0] = [script], str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        Path(told).write_text(str(simulated(machine())))


def machine():
    """Address of the board that this process finds."""
    lines = Path.home().joinpath(".spynnaker.cfg").read_text().splitlines()
    return next(line.rpartition(" ")[2] for line in lines if line.startswith("machine_name"))


def run(script, checkout, figures, limit):
    """Run one script: its Outcome."""
    with tempfile.TemporaryDirectory() as here:
        told, said, began = Path(here, "told"), Path(here, "said"), time.monotonic()
        path = Path(checkout, script).resolve()
        command = [sys.executable, "-m", "spikingconvnet.emulator", str(Path(__file__).resolve()), INSIDE, str(told),
                   str(figures), str(path)]
        with said.open("w") as output:
            process = subprocess.Popen(command, cwd=path.parent, env=environment([checkout]) | {"MPLBACKEND": "Agg"},
                                       stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)      # the script too; their board ends with them
                process.wait()
                return Outcome(script, TIMED_OUT, limit, reason=f"not over after {limit:g} s")
        seconds = time.monotonic() - began
        ms = int(told.read_text()) if told.exists() else 0
        lines = [line for line in said.read_text().splitlines() if line.strip()]
        return Outcome(script, PASSED if code == 0 else "failed", seconds, ms, "" if code == 0 else lines[-1][:150])


def main(arguments=None):
    """Run what is asked for; 1 if a script did not pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--folders", nargs="+", default=FOLDERS, help="in it (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=[""], help="scripts whose paths contain one of these")
    parser.add_argument("--limit", type=float, default=UNTIL, help="seconds for a script (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="JSON of all outcomes")
    parser.add_argument("--figures", type=Path, help="folder for the scripts' figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="example-scripts-") as here:
        copy, figures = Path(here, "checkout"), (options.figures or Path(here, "figures")).resolve()
        shutil.copytree(options.checkout, copy)
        figures.mkdir(parents=True, exist_ok=True)
        chosen = [one for one in scripts(copy, options.folders) if any(text in one for text in options.only)]
        outcomes = []
        for number, script in enumerate(chosen, 1):
            outcomes.append(run(script, copy, figures, options.limit))
            print(f"{number}/{len(chosen)} {outcomes[-1].outcome} {script}", file=sys.stderr, flush=True)
            if options.output:                      # so that one that is stopped has said what it knows
                options.output.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    print("\n".join(table(outcomes)))
    return any(one.outcome != PASSED for one in outcomes)


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        inside(*sys.argv[2:])
    else:
        sys.exit(main())
