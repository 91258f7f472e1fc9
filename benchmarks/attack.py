"""Attack the command line: altered files, mutated parameters, kills, bad surroundings. Nothing may fail wrongly.

    python benchmarks/attack.py run-directory --cases 10000 --seed 0 --jobs 2

Every case that ends in a traceback, a crash, a hang or nonsense that was taken for good is printed as a line of JSON;
``--first N --cases 1`` does one again. The last line counts, also after a SIGTERM for the process that runs the cases.
Exit code 1 if one went wrong. Several attacks, each with its own number of cases, run one after the other and import
the package once.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from attacks import NAMES, attack, harness  # noqa: E402


def main():
    """Run the attacks that the command line names: 1 if a case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="+", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument("--cases", type=int, nargs="+", default=[100], help="of each attack, or of all")
    for option, default in (("--seed", 0), ("--jobs", 1), ("--first", 0)):
        parser.add_argument(option, type=int, default=default)
    options = parser.parse_args()
    cases = options.cases * (len(options.names) if len(options.cases) == 1 else 1)
    if len(cases) != len(options.names):
        parser.error("--cases: one number, or one for each attack")
    harness.warm()
    return max([_forked(name, n, options) != 0 for name, n in zip(options.names, cases)])


def _forked(name, n, options):
    """Run an attack in a process that begins with what is imported here: its exit code."""
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(_run(name, n, options)))
    process.start()
    process.join()
    return process.exitcode


def _run(name, n, options):
    """Run an attack and count: 1 if a case went wrong."""
    module = attack(name)
    cases = min(n, getattr(module, "CASES", options.first + n) - options.first)

    def told(number, case, outcome):
        if outcome.kind in harness.BAD:
            print(harness.report(number, case, outcome), flush=True)

    begin = time.monotonic()
    counts = harness.run(module, cases, options.seed, options.jobs, options.first, told)
    bad = sum(counts[kind] for kind in harness.BAD)
    print(json.dumps({"attack": name, "cases": sum(counts.values()), "bad": bad, **counts,
                      "seconds": round(time.monotonic() - begin)}), flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
