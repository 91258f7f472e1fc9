"""Whether a chain that was trained as a whole does what its rule says, before it is stored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spikingconvnet import backends
from spikingconvnet.gates.progress import counted
from spikingconvnet.model import build
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats32
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training import network_rule
from spikingconvnet.training.chain import convert, parity

if TYPE_CHECKING:
    from spikingconvnet.experiment.experiment import Experiment

PARTS = 20              # in which a run is counted


def _fired(network: Network, jobs: int | None) -> dict[str, Spikes]:
    """Spikes of all populations, by the local engine."""
    with backends.open(network, jobs=jobs) as simulation:
        steps = simulation.source_steps
        for first in counted(range(0, steps, part := -(-steps // PARTS)), "parity: spikes"):
            simulation.run(min(part, steps - first))
        return dict(simulation.recording().spikes)


def judge(experiment: "Experiment", layers: Sequence[TrainedLayer], images: Floats32) -> dict[str, Any]:
    """Judge trained layers by what they fire for the first training images by the local engine.

    Parameters
    ----------
    experiment : Experiment
    layers : list of TrainedLayer
    images : float32 array (n, C, H, W)
        What units are shown, see ``training``.

    Returns
    -------
    dict
        ``parity``: the reports of ``training.chain.parity``, where layers stand for units.

    Raises
    ------
    SettingsError
        A layer that never fires, or rates or answers that are not those of the units.
    """
    s, model, reports = experiment.settings, experiment.model, []
    rule, spikes = network_rule(s), experiment.data("train")["spikes"]
    if isinstance(rule, convert.Convert):        # units first: what they say of a cause is more than rates can
        reports.append(convert.judge(rule, model, experiment.images.image_filter(), s.encoder))
    first = spikes.samples(0, min(parity.IMAGES, spikes.n_samples))
    network = build.inference_network(model.stages, layers, first, s.reset)
    found = _fired(network, experiment.jobs)
    if rule.rates is not None:        # says more of a layer that never fires
        fired = [first, *(found[stage.label] for stage in model.stages)]
        reports.append(parity.judge_rates(model, layers, rule, images[:first.n_samples], fired, s.encoder))
    else:
        experiment.check_fires(first, {label: spikes.n_events for label, spikes in found.items()},
                               f"{first.n_samples} training images", layers)
    return {"parity": told} if (told := [report.as_dict() for report in reports if report]) else {}
