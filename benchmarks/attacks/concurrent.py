"""Two commands in one run directory: each ends as one after the other would have, or names who writes there.

They are processes of their own, see ``fresh``; in one case of `fresh.OFTEN` new ones, and in one of `WHOLE` they end as
Python ends.
"""

import itertools
import time

from attacks import flows, fresh, small
from attacks.harness import Case

WRITERS = ("demo",), ("loaddata",), ("training", "--layer", "1"), ("training", "--layer", "svm"), \
    ("training", "--layer", "1", "--rule", "random"), ("testing",), ("testing", "--split", "validation"), ("plot",)
READERS = ("info",), ("check",)
BUSY = "is being written by process"
REFUSED = 5
WHOLE = 10


def prepare(directory):
    """A finished run, and the commands."""
    flows.light_figures()
    parameters = ["--parameters", str(small.write(directory, tiny=True))]
    finished = flows.Flow("demo", ["--mode", "demo", *parameters], None, directory / "run")
    return [flows.Flow(" ".join(words), ["--mode", *words, *parameters], finished, directory / "unused")
            for words in (*WRITERS, *READERS)], {}


def _undisturbed(context, order):
    """What commands make of the run one after the other: codes and contents, each order once."""
    made, found = context
    if order not in found:
        folder = made[0].before.where.parent / "-".join(map(str, order))
        folder.mkdir()
        run = folder / "run"                        # as everywhere: pages are titled so
        flows.begin(made[order[0]], run)
        codes = [flows.forked(_program(made[i], run), silent=True) for i in order]
        found[order] = codes, flows.contents(run)
        flows.shutil.rmtree(folder)
    return found[order]


def case(context, rng, where):
    """Two commands that begin at the same time in one run directory."""
    made, _ = context
    pair = [int(rng.integers(len(WRITERS))), int(rng.integers(len(made)))]
    rng.shuffle(pair)
    between = float(rng.choice((0.0, rng.uniform(0, 0.05), rng.uniform(0, 1.5))))
    new, whole = fresh.drawn(rng), fresh.drawn(rng, WHOLE)
    name = f"{made[pair[0]].name}, {between:.3f} s later {made[pair[1]].name}{', new processes' * new}"
    writers = [i for i in pair if i < len(WRITERS)]
    found = [(order, _undisturbed(context, order)) for n in range(1, len(writers) + 1)
             for order in itertools.permutations(writers, n)]
    return Case(name, lambda: _work(made, dict(found), pair, between, where, new=new, whole=whole),
                lambda outcome: outcome.stdout.strip())


def _program(flow, run, **how):
    return fresh.program(flow.line(run), light=True, **how)


def _work(made, found, pair, between, where, **how):
    run = where / "run"
    flows.begin(made[pair[0]], run)
    begun = []
    for i in pair:
        log = where / f"log-{len(begun)}"
        begun.append((flows.fork(_program(made[i], run, **how), log=log), log))
        time.sleep(between)
        between = 0
    ended, codes = [], []
    for i, (pid, log) in zip(pair, begun):
        code = flows.ended(pid)
        refused = code == REFUSED and BUSY in log.read_text()
        if "Traceback" in log.read_text() or (i >= len(WRITERS) and code != 0):
            print(f"{made[i].name} ends with {code}: {log.read_text()[-500:]}")
        if not refused and i < len(WRITERS):
            ended.append(i)
            codes.append(code)
    after = flows.contents(run)
    orders = [list(order) for order in itertools.permutations(range(len(ended)))]
    same = [found.get(tuple(ended[k] for k in order)) == ([codes[k] for k in order], after) for order in orders]
    if not any(same):
        print(f"{[made[i].name for i in ended]} end with {codes}, not as one after the other")
