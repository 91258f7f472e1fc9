"""The tables of the documentation, from what ``run_models.py`` prints (standard input)."""

import json
import sys

from models.catalogue import NETWORKS

HEADINGS = ("network", "compared with", "value", "expected", "found")
PARTS = {"cells": "Cell models", "currents": "Current sources", "sources": "Spike sources",
         "plasticity": "Plasticity", "slow plasticity": "Plasticity, longer runs",
         "structure": "Structural plasticity, rings", "connectors": "Connectors", "chains": "Delays and chains",
         "fine": "Steps of 0.1 ms", "own": "Runs of their own"}


def results(text):
    """Name of network -> its checks, as printed."""
    found = {}
    for line in text.splitlines():
        if line.startswith("CHECKS "):
            entry = json.loads(line.removeprefix("CHECKS "))
            found[entry["network"]] = entry["checks"]
    return found


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        if len(value) > 8:
            return f"{', '.join(map(_text, value[:3]))} ... {_text(value[-1])} ({len(value)})"
        return ", ".join(map(_text, value)) or "none"
    return str(value)


def _expected(check):
    if not check["tolerance"]:
        return _text(check["expected"])
    return f"{_text(check['expected'])} ± {check['tolerance']:.2g} ({check['reason']})"


def rows(found, names=NETWORKS):
    """A line of Markdown per check, network after network."""
    for name in names:
        network = NETWORKS[name]
        for i, check in enumerate(found[name]):
            head = (network.title, network.compared) if i == 0 else ("", "")
            cells = (*head, check["what"], _expected(check), _text(check["found"]))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page(found):
    """Lines of the tables of all groups, with the remarks below them."""
    for group, title in PARTS.items():
        names = [name for name, network in NETWORKS.items() if network.group == group]
        yield from (f"\n## {title}\n", f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS))
        yield from rows(found, names)
        for name in names:
            if NETWORKS[name].remark:
                yield f"\n**{NETWORKS[name].title}.** {NETWORKS[name].remark}"


if __name__ == "__main__":
    print("\n".join(page(results(sys.stdin.read()))))
