"""Mutation testing: put a fault into the package, run the nearest tests, and count how often one of them fails.

    python benchmarks/mutation.py measure                            which test executes which line (about an hour)
    python benchmarks/mutation.py sample --faults 600 --seed 0       the score with its interval, and who survived

Faults are drawn among all places of the source, see ``mutants/faults.py``; each is put into a copy of the tree.
A fault is noticed if a test fails or does not come to its end. What is found is kept in ``reports/mutation/``, a line
of JSON for each fault; the same command goes on where it was stopped, and ``--only`` takes files by a pattern. Faults
with which the program does the same count as not noticed, but for those that ``mutants/equivalent.txt`` gives a reason.

Needs cosmic-ray and coverage beside the tests' packages. Run it where a fault can do no harm, since it may send signals
or datagrams to whom it likes: ``unshare -n -p -f --mount-proc sh -c 'ip link set lo up; exec python ...'``.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from mutants import faults, followed, run  # noqa: E402
from mutants.nearest import Seen  # noqa: E402

REPORTS = ROOT / "reports" / "mutation"
# They read sources or check how tests are run: what they would notice is the text, not what it does.
NOT_RUN = re.compile(r"test_(architecture|face|packaging|makefile|naive|patience|errata|worth)\.py")
NOTICED = ("failed", "time")
COMPILING = 60.0        # s that numba may take before the first test of a kernel


def sources(only=""):
    """Files of the package: list of paths below the root, as str."""
    found = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "spikingconvnet").rglob("*.py"))
    return [file for file in found if re.search(only, file)]


def measure(options):
    """Run every test file under coverage, those that have not been measured or are otherwise since."""
    seen = REPORTS / "seen"
    seen.mkdir(parents=True, exist_ok=True)
    commit, since = followed.now(ROOT), cache(lambda measured: followed.Since(ROOT, measured).changed)
    files = ["spikingconvnet", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))]
    with tempfile.TemporaryDirectory(prefix="mutation-") as where:
        tree = run.copy_of(ROOT, Path(where) / "tree")
        for file in files:
            into = seen / f"{file.replace('/', '+')}.coverage"
            is_measured = into.with_suffix(".json").exists() and file not in since(followed.commit_of(into))
            if is_measured or NOT_RUN.search(file) or not re.search(options.only, file):
                continue
            into.with_suffix(".json").unlink(missing_ok=True)
            into.unlink(missing_ok=True)
            into.with_suffix(".commit").write_text(commit)
            begin = time.monotonic()
            environment = {**os.environ, "SEEN_INTO": str(into), "PYTHONPATH": f"{tree}:{tree / 'benchmarks'}"}
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "mutants.seen", *run.QUIET, file],
                                  cwd=tree, env=environment, capture_output=True, text=True)
            print(f"{file}: {time.monotonic() - begin:.0f} s, {done.stdout.splitlines()[-1:]}", flush=True)


def equivalent():
    """Faults known to be equivalent: dict of (file, before, after) to the reason."""
    lines = (Path(__file__).parent / "mutants" / "equivalent.txt").read_text().splitlines()
    parts = [line.split(" ¦ ") for line in lines if line and not line.startswith("#")]
    return {tuple(part.strip() for part in parts[:3]): parts[3].strip() for parts in parts}


def sample(options):
    """Draw faults, run the nearest tests for each and print the score."""
    only = re.sub("[^a-z]+", "-", options.only and f"-{options.only}")
    out = options.out or REPORTS / f"seed-{options.seed}{only}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    text = {file: (ROOT / file).read_text() for file in sources(options.only)}
    every = {}
    for file, source in text.items():
        every |= faults.places(file, source)
    drawn = [one for one in faults.draw(every, options.faults, np.random.default_rng(options.seed))
             if one.is_one(text[one.file])]
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    known = {(one["file"], one["line"], one["column"], one["operator"], one["occurrence"]) for one in done}
    left = [one for one in drawn if (one.file, one.line, one.column, one.operator, one.occurrence) not in known]
    print(f"{len(every):,} places in {len(text)} files, {len(drawn)} drawn, {len(left)} to be run", flush=True)
    run.warm()
    with tempfile.TemporaryDirectory(prefix="mutation-") as where, open(out, "a") as stream:
        trees = [run.copy_of(ROOT, Path(where) / str(k)) for k in range(options.jobs)]
        for record in _all(left, text, trees, Seen(options.seen, ROOT), options.budget):
            done.append(record)
            print(json.dumps(record), file=stream, flush=True)
            if record["kind"] not in NOTICED:
                print(_line(record), flush=True)
        _check(done, trees[0])
    report(done, len(every))


def _all(left, text, trees, seen, budget):
    """Run faults, as many side by side as there are trees; a record of each as it ends."""
    free, at_work, waiting = list(trees), [], list(reversed(left))
    lines = {file: faults.Lines(source) for file, source in text.items()}
    while waiting or at_work:
        while waiting and free:
            fault = waiting.pop()
            tests = seen.nearest(fault, lines[fault.file], budget)
            before, after = fault.shown(text[fault.file])
            record = {**asdict(fault), "before": before, "after": after, "tests": len(tests)}
            if not tests:
                yield {**record, "kind": "no test", "killer": "", "seconds": 0.0}
                continue
            cost = sum(seen.seconds[test] for test in tests) + COMPILING * fault.file.endswith("kernels.py")
            tree = free.pop()
            started = run.start(tree, fault.file, fault.into(text[fault.file]), tests, cost)
            at_work.append((record, tree, started, tests))
        time.sleep(0.02)
        for job in list(at_work):
            record, tree, started, tests = job
            end = run.ended(started)
            if end:
                at_work.remove(job)
                free.append(tree)
                if end.kind == "broken":
                    end.kind = _broken(end, tree, record, tests)
                yield {**record, "kind": end.kind, "killer": end.killer, "seconds": round(end.seconds, 1)}


def _whole(tree, tests, seconds=600):
    started = run.start(tree, sources()[0], None, tests, seconds)
    while not (end := run.ended(started)):
        time.sleep(0.02)
    return end


def _broken(end, tree, record, tests):
    """Tests could not be run at all: because of the fault, or without it too."""
    return "failed" if _whole(tree, tests).kind == "passed" else "broken"


def _check(done, tree):
    """Run the tests that noticed faults without any: what fails then has noticed nothing."""
    killers = sorted({one["killer"] for one in done if one["killer"]})
    while killers:
        end = _whole(tree, killers)
        if end.kind == "passed":
            return
        if end.killer not in killers:
            print(f"the tests without a fault ended with {end.kind}: {end.output[-2000:]}")
            return
        print(f"fails without a fault: {end.killer}", flush=True)
        for one in done:
            if one["killer"] == end.killer:
                one["kind"] = "void"
        killers.remove(end.killer)


def _line(record):
    return f"{record['file']}:{record['line']}  {record['before']}  ->  {record['after']}  ({record['kind']})"


def wilson(hits, n, z=1.96):
    """Interval of a share that was `hits` of `n`: two floats (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    if not n:
        return 0.0, 1.0
    middle, half = hits / n + z * z / (2 * n), z * sqrt(hits / n * (1 - hits / n) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def report(done, n_places):
    """Print the score of all, of parts and of modules, and who survived."""
    same = equivalent()
    counted = [one for one in done if (one["file"], one["before"], one["after"]) not in same]

    def row(name, chosen):
        hits, n = sum(one["kind"] in NOTICED for one in chosen), len(chosen)
        low, high = wilson(hits, n)
        print(f"| {name} | {hits} of {n} | {100 * hits / max(n, 1):.1f} | {100 * low:.1f} to {100 * high:.1f} |")

    print(f"\n| part ({n_places:,} places) | noticed | % | 95 % interval |\n|---|---|---|---|")
    row("package", counted)
    row("package without the emulator", [one for one in counted if "/emulator/" not in one["file"]])
    for name in sorted({str(Path(one["file"]).parent) for one in counted}):
        row(f"`{name}/`", [one for one in counted if str(Path(one["file"]).parent) == name])
    print("\n| module | noticed | % | 95 % interval |\n|---|---|---|---|")
    for name in sorted({one["file"] for one in counted}):
        row(f"`{name.removeprefix('spikingconvnet/')}`", [one for one in counted if one["file"] == name])
    print("\n| operators | noticed | % | 95 % interval |\n|---|---|---|---|")
    for name in sorted({one["family"] for one in counted}):
        row(name, [one for one in counted if one["family"] == name])
    print(f"\n{len(done) - len(counted)} are known as equivalent and left out. Not noticed:")
    for one in sorted(counted, key=lambda one: (one["file"], one["line"])):
        if one["kind"] not in NOTICED:
            print("  " + _line(one))


def main():
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("measure")
    command.set_defaults(call=measure)
    command.add_argument("--only", default="", help="test files by a regular expression")
    command = commands.add_parser("sample")
    command.set_defaults(call=sample)
    command.add_argument("--faults", type=int, default=600)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--jobs", type=int, default=1)
    command.add_argument("--budget", type=float, default=30.0, help="seconds of tests for a fault (default: 30)")
    command.add_argument("--only", default="", help="source files by a regular expression")
    command.add_argument("--seen", type=Path, default=REPORTS / "seen")
    command.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
