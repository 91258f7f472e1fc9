"""A PyNN script: run groups of the catalogue (arguments; default: all), and print a JSON line per network."""

import json
import sys
import traceback
from dataclasses import asdict

import pyNN.spiNNaker as sim
from models import NETWORKS
from models.catalogue import GROUPS


def report(network, checks):
    """One line per network."""
    checks = [{**asdict(check), "passed": check.passed} for check in checks]
    print("CHECKS " + json.dumps({"network": network.name, "checks": checks}), flush=True)


def together(networks, group):
    """Networks that share one simulation."""
    sim.setup(**group.setup)
    built = [(network, network.build(sim)) for network in networks]
    for _, steps in built:
        next(steps)
    sim.run(group.duration)
    for network, steps in built:
        report(network, steps)
    sim.end()


def main(groups):
    """Run them all; 1 if one of them could not be run."""
    code = 0
    for name in groups:
        networks = [network for network in NETWORKS.values() if network.group == name]
        try:
            if GROUPS[name].duration is None:
                for network in networks:
                    report(network, network.build(sim))
            else:
                together(networks, GROUPS[name])
        except Exception:           # noqa: BLE001 - the next group is run all the same
            traceback.print_exc()
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(GROUPS)))
