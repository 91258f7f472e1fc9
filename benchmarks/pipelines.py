"""Whole pipelines, from digits to an accuracy: CPU seconds of this package and of two peers.

    python benchmarks/pipelines.py --store DIR [--rows stdp convert sinabs snntorch] [--enough 98 98.7] [--seed 0]
                                   [--most 1200] [--peer-python /somewhere/venv-peers/bin/python ...]

55,000 training digits of MNIST; the other 5,000 say when an accuracy is reached, and then the test digits are asked.
One thread. Learning is timed with imports, loading and encoding, without what asking takes; the test of 10,000 digits
has a column of its own. Peers go on learning until it is enough (``peer_pipelines.py``). Here the same experiment is
made with more and more, see ``ROWS``, and that which is enough is counted alone. What is found is kept in DIR.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from engine import ONE_THREAD, python_of
from peer_pipelines import PEERS, VALIDATION

from spikingconvnet.data import datasets

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "data" / "mnist"
TRAINING = 60_000 - VALIDATION
# Options that are tried one after another: digits that STDP's classifier sees; passes through all of them.
ROWS = {"stdp": [[f"--set=N_TRAIN={n}"] for n in (5_000, 10_000, 20_000, 30_000, TRAINING)],
        "convert": [["--rule=convert", f"--set=N_TRAIN={TRAINING}", f"--set=RULE.descent.epochs={n}"]
                    for n in (1, 2, 3, 4, 6)]}
LAYERS = {"stdp": [["--layer=1"], ["--layer=svm"]], "convert": [[]]}


def spent():
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(*words):
    """What ``main.py --json`` prints, and the CPU seconds it took."""
    begin = spent()
    done = subprocess.run([sys.executable, str(ROOT / "main.py"), *words, "--json"], stdout=subprocess.PIPE, text=True,
                          env={**ONE_THREAD, "PATH": ""}, check=True)
    return json.loads(done.stdout), spent() - begin


def ours(row, seed, enough, folder):
    """What a pipeline of ours reaches with each of its options: generator of dict, as ``peer_pipelines.py`` prints."""
    wanted = sorted(enough)
    for k, options in enumerate(ROWS[row]):
        run = [f"--run-dir={folder / str(k)}"]
        learning = command("--mode=loaddata", f"--source={DIGITS}", f"--seed={seed}",
                           f"--set=N_VALIDATION={VALIDATION}", "--jobs=1", *options, *run)[1]
        rule = [option for option in options if option.startswith("--rule")]
        for layer in LAYERS[row]:
            learning += command("--mode=training", "--jobs=1", *rule, *layer, *run)[1]
        right = command("--mode=testing", "--split=validation", "--jobs=1", *run)[0]["accuracy"]
        told = {"shown": options[-1].partition("=")[2], "cpu_seconds": round(learning, 1), "validation": right}
        if right >= wanted[0] or k + 1 == len(ROWS[row]):
            found, took = command("--mode=testing", "--jobs=1", *run)
            told |= {"test": found["accuracy"], "cpu_seconds_of_test": round(took, 1)}
        yield told
        wanted = [one for one in wanted if right < one]
        if not wanted:
            return


def theirs(row, seed, enough, most, store, pythons):
    """The same of a peer."""
    digits = store / "mnist.npz"
    if not digits.is_file():
        parts = {part: datasets.load(str(DIGITS), part) for part in ("train", "test")}
        np.savez(digits, **{f"x_{part}": found.images for part, found in parts.items()},
                 **{f"y_{part}": found.labels for part, found in parts.items()})
    asked = [python_of(row, [sys.executable, *pythons]), str(ROOT / "benchmarks/peer_pipelines.py"), row, str(digits),
             f"--seed={seed}", f"--most={most}", "--enough", *map(str, enough)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env={**ONE_THREAD, "PATH": ""}) as peer:
        yield from map(json.loads, peer.stdout)


def found(row, options):
    """The course of a pipeline, from its file if it is there: list of dict."""
    kept, enough = options.store / f"{row}-{options.seed}.json", [one / 100 for one in options.enough]
    if not kept.is_file():
        course = []
        for one in (theirs(row, options.seed, enough, options.most, options.store, options.peer_python)
                    if row in PEERS else ours(row, options.seed, enough, options.store / f"{row}-{options.seed}")):
            print(row, one, file=sys.stderr, flush=True)
            course.append(one)
        kept.write_text(json.dumps(course))
    return json.loads(kept.read_text())


def main(args=None):
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=[*ROWS, *PEERS], choices=[*ROWS, *PEERS])
    parser.add_argument("--enough", type=float, nargs="+", default=[98.0, 98.7])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=float, default=1200.0, help="CPU seconds that a peer may learn")
    parser.add_argument("--peer-python", nargs="+", default=[])
    options = parser.parse_args(args)
    options.store.mkdir(parents=True, exist_ok=True)
    print("| pipeline | asked (%) | validation (%) | learning (CPU s) | shown | test (%) | test of 10,000 (CPU s) |")
    print("|---|---|---|---|---|---|---|")
    for row in options.rows:
        course = found(row, options)
        for enough in options.enough:
            one = next((one for one in course if 100 * one["validation"] >= enough), course[-1])
            fails = "" if 100 * one["validation"] >= enough else "not reached in "
            print(f"| {row} | {enough:g} | {100 * one['validation']:.2f} | {fails}{one['cpu_seconds']:.0f} |"
                  f" {one['shown']} | {100 * one['test']:.2f} | {one['cpu_seconds_of_test']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
