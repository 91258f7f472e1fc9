"""Attack the command line: altered files, mutated parameters, kills, bad surroundings. Nothing may fail wrongly.

    python benchmarks/attack.py run-directory --cases 10000 --seed 0 --jobs 2

Every case that ends in a traceback, a crash, a hang or nonsense that was taken for good is printed as a line of JSON;
``--first N --cases 1`` does one again. The last line counts. Exit code 1 if one went wrong.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from attacks import NAMES, attack, harness  # noqa: E402


def main():
    """Run the attack that the command line names: 1 if a case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NAMES)
    for option, default in (("--cases", 100), ("--seed", 0), ("--jobs", 1), ("--first", 0)):
        parser.add_argument(option, type=int, default=default)
    options = parser.parse_args()
    module = attack(options.name)
    cases = min(options.cases, getattr(module, "CASES", options.first + options.cases) - options.first)

    def told(number, case, outcome):
        if outcome.kind in harness.BAD:
            print(harness.report(number, case, outcome), flush=True)

    begin = time.monotonic()
    counts = harness.run(module, cases, options.seed, options.jobs, options.first, told)
    bad = sum(counts[kind] for kind in harness.BAD)
    print(json.dumps({"attack": options.name, "cases": sum(counts.values()), "bad": bad, **counts,
                      "seconds": round(time.monotonic() - begin)}))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
