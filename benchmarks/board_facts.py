"""The timed emulated board beside published numbers of real boards: a row for each.

    python benchmarks/board_facts.py

Networks run one after another on a SpiNN-3 that counts time. Nothing is tuned on these rows; their sources are in
docs/time.md. It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import json
import tempfile
from pathlib import Path

from board_keeps_up import run
from instructions import network

from spikingconvnet.emulator import Board
from spikingconvnet.network.plasticity import STDPMechanism

STEPS, BUSY = 34, slice(14, -6)             # of a run; those in which all inputs fire
MS = 200_000                                # cycles


def cases():
    """Networks by name."""
    made = {f"static, 255 neurons, {n} inputs": network(255, n, STEPS) for n in (16, 17, 18)}
    made |= {f"plastic, 100 neurons, {n} inputs": network(100, n, STEPS, rule=STDPMechanism()) for n in (11, 12, 13)}
    made["256 neurons, nothing comes"] = network(256, 0, STEPS)
    made["1 neuron, 160 inputs"] = network(1, 160, STEPS)
    return made


def main():
    """Run the networks; print verdicts and loads, then the rows."""
    verdicts, made = {}, cases()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "times.json")
        with Board(version=3, timed=True, times=path) as board:
            for name, one in made.items():
                verdicts[name] = run(one, 1, board)
        programs = [one for one in json.loads(path.read_text())["programs"] if one["program"].startswith("IF_")]
    did = {name: one["steps"][BUSY] for name, one in zip(made, programs, strict=True)}
    for name, steps in did.items():
        print(f"{name:32} {max(steps) / MS:6.3f} of a step  {' '.join(verdicts[name])}")
    packet = (did["static, 255 neurons, 17 inputs"][0] - did["static, 255 neurons, 16 inputs"][0])
    rest = did["static, 255 neurons, 16 inputs"][0] - 16 * packet
    learning = (did["plastic, 100 neurons, 12 inputs"][0] - did["plastic, 100 neurons, 11 inputs"][0])
    for where, there in (("with 255 neurons", MS - rest), ("without", MS)):
        print(f"events per ms and core in rows of 255, {where}: {255 * there / packet:,.0f}")
    print(f"plastic events per ms and core in rows of 100: {100 * MS / learning:,.0f}")


if __name__ == "__main__":
    main()
