"""Figures of an experiment say what they show: the layer, the rule, the channels. What they draw is test_plotting's."""

import pytest

from spikingconvnet.experiment import figures, settings
from spikingconvnet.experiment.experiment import Experiment

LAYER_FIGURES = ("kernels", "training", "raster", "membranes", "activity")


def trained(path, run_dir, *rules):
    """An experiment whose layers were found by `rules`."""
    experiment = Experiment(settings.load(path), run_dir)
    experiment.load_data()
    for number, rule in enumerate(rules, start=1):
        experiment.train_layer(number, rule)
    return experiment


def panels(figure):
    """Titles of the panels."""
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_figures_of_a_layer_have_its_name_and_only_kernels_on_the_image_have_centres(parameters, tmp_path):
    experiment = trained(parameters(layers=2), tmp_path / "run", "stdp", "stdp")
    for number in (1, 2):
        for kind in LAYER_FIGURES:
            assert figures._figure(experiment, f"{kind}-{number}").get_suptitle().startswith(f"Layer {number}: ")
    first, second = (panels(figures._figure(experiment, f"kernels-{number}")) for number in (1, 2))
    assert first == [f"{name}\non-centre − off-centre" for name in ("Before", "After", "After minus before")]
    assert second == [f"{name}\nmean of 4 channels" for name in ("Before", "After", "After minus before")]


@pytest.mark.parametrize("rule", ["random", "kmeans"])
def test_kernels_of_a_floor_are_one_panel_that_names_the_rule(parameters, tmp_path, rule):
    figure = figures._figure(trained(parameters(), tmp_path / "run", rule), "kernels-1")
    assert figure.get_suptitle() == f"Layer 1: kernels ({rule})"
    assert panels(figure) == ["Kernels\non-centre − off-centre"]
