"""What a board has said: verdicts on the runs behind each result, how each core did, and how much it has to do."""

from typing import Any

from spikingconvnet.board import resources
from spikingconvnet.board.load import Load
from spikingconvnet.errors import NetworkError
from spikingconvnet.experiment.report.answers import Answered
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.report.samples import Shown
from spikingconvnet.network.spikes import Spikes

MOST_MAPS = 6           # runs whose chips are shown, the last ones


def board(held: Held, found: Answered | None, shown: Shown) -> dict[str, Any] | None:
    """Verdicts, chip map and load: dict for JSON; None if nothing was on a board.

    Parameters
    ----------
    held : Held
    found : Answered or None
    shown : samples.Shown
        Whose spikes the load is counted for.
    """
    verdicts = _verdicts(held, found)
    if not verdicts:
        return None
    places = [one for one in verdicts if one.get("chips")]
    return {"verdicts": [{**one, "chips": None} for one in verdicts], "places": places[-MOST_MAPS:],
            "loads": loads(shown), "command": held.command("check"),
            "again": f"{held.command('testing')} --backend spinnaker"}


def _verdicts(held: Held, found: Answered | None) -> list[dict[str, Any]]:
    """Each verdict that is stored with a result, and of what."""
    made = [(f"layer {number}", layer["how"]) for number, layer in enumerate(held.layers, start=1)]
    if found is not None:
        made += [(f"{held.split} images, replica {number}", how) for number, how in enumerate(found.how)]
    whole = [{"of": name, "made_on": how["made_on"], **how["board"]} for name, how in made if how.get("board")]
    told = [{"of": f"{name}, with all that it stands on", "verdict": entry["verdict"]}
            for name, entry in held.entries.items() if "verdict" in entry]
    return whole + told


def loads(shown: Shown) -> list[dict[str, Any]]:
    """The share of a step that the busiest core of each population needs, as ``--mode check`` counts it."""
    if not shown.stages:
        return []
    spikes: dict[str, Spikes] = {stage.label: shown.recording.spikes[stage.label] for stage in shown.stages}
    try:
        found = resources.resources(shown.network(shown.timeline), fired=spikes)
    except NetworkError:
        return []
    worst: dict[str, Load] = {}
    for load in found.loads:            # the heaviest of each population comes first
        worst.setdefault(load.label.split()[0], load)
    return [{"population": label, "mean": load.mean, "worst": load.worst, "neurons": load.neurons}
            for label, load in worst.items()]
