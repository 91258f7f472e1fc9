"""Figures of an experiment say what they show: the layer, the rule, the channels. What they draw is test_plotting's."""

import pytest

from spikingconvnet.errors import SettingsError, StoreError
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


@pytest.mark.parametrize("rule", ["random", "kmeans", "pca"])
def test_kernels_of_a_floor_are_one_panel_that_names_the_rule(parameters, tmp_path, rule):
    figure = figures._figure(trained(parameters(), tmp_path / "run", rule), "kernels-1")
    assert figure.get_suptitle() == f"Layer 1: kernels ({rule})"
    assert panels(figure) == ["Kernels\non-centre − off-centre"]


def test_samples_have_their_classes_and_neurons_their_places(parameters, tmp_path):
    experiment = trained(parameters(), tmp_path / "run", "random")
    stage, labels = experiment.model.stages[0], experiment.data("train")["labels"]
    assert figures._samples(experiment, 2) == [f"image 0: class {labels[0]}", f"image 1: class {labels[1]}"]
    membranes, raster, inputs = (figures._figure(experiment, name) for name in ("membranes-1", "raster-1", "inputs"))
    for figure, axes in ((membranes, membranes.axes[0]), (raster, raster.axes[0])):
        above, = axes.child_axes
        assert [label.get_text() for label in above.get_xticklabels()] == figures._samples(experiment, 3), figure
    assert inputs.axes[0].get_title() == f"image 0: class {labels[0]}"
    rows, columns = stage.out_shape[1:]
    assert figures._place(stage, rows * columns + columns + 2, None) == "map 1, row 1, column 2"
    assert figures._place(stage, 1, ["cat", "dog"]) == "class dog"


def test_a_split_without_a_result_and_a_name_of_no_figure_are_said(parameters, tmp_path):
    experiment = trained(parameters(), tmp_path / "run", "random")
    with pytest.raises(StoreError, match="no validation result .* --mode testing .*--split validation"):
        figures._figure(experiment, "confusion-validation")
    with pytest.raises(SettingsError, match="no figure is called 'confusion-train'; there are inputs, kernels-1"):
        figures._figure(experiment, "confusion-train")
