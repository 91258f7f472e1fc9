"""The registry of rules: every function is there, and a missing library is named with the command that installs it."""

import inspect
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.data.encoding import LatencyEncoder, RegularEncoder
from spikingconvnet.errors import BackendError, SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.model.layers import Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training import RULES, Rule
from spikingconvnet.training.chain import convert

RECIPES = sorted((Path(inspect.getfile(settings)).parent / "recipes").glob("*.py"))
WHOLE = [rule for rule in RULES.values() if rule.whole]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_its_function(rule):
    if rule.needs and find_spec(rule.needs) is None:
        pytest.skip(f"{rule.needs} is not installed")
    first = list(inspect.signature(rule.load()).parameters)[:5]
    assert first == (["model", "images", "labels", "rng", "rule"] if rule.whole else
                     ["stage", "spikes", "rng", "open_network", "progress"])
    named = {name for name, one in inspect.signature(rule.load()).parameters.items() if one.kind is one.KEYWORD_ONLY}
    assert named == (set(rule.given(None, None, None)) if rule.whole else set())


def test_every_rule_for_chains_has_a_recipe_with_its_settings():
    assert {path.stem for path in RECIPES} >= {rule.name for rule in WHOLE} and WHOLE
    for rule in WHOLE:
        loaded = settings.load(next(path for path in RECIPES if path.stem == rule.name))
        assert loaded.rule.name == rule.name and loaded.model.runs_as_one and hasattr(loaded.rule, "neuron")


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(BackendError, match=r"--rule x: .*'no_such_one'.*pip install 'spikingconvnet\[no_such_one\]'"):
        Rule("x", "spikingconvnet.training.chain.ridge", needs="no_such_one").load()


def recipe(name):
    return settings.load(next(path for path in RECIPES if path.stem == name))


@pytest.mark.parametrize("name", ["ridge", "convert", "softlif", "bpstdp"])
def test_an_encoder_without_a_rate_is_refused_where_units_see_rates(name):
    made = recipe(name)
    with pytest.raises(SettingsError, match=rf"^parameters.ENCODER: RULE {name} needs values as rates of .* Latency"):
        replace(made, encoder=LatencyEncoder(made.encoder.n_steps))


def test_rules_that_see_spikes_take_every_encoder_unless_they_begin_with_rates():
    for name in ("surrogate", "rstdp"):
        assert replace(recipe(name), encoder=LatencyEncoder(recipe(name).encoder.n_steps)).rule.name == name
    made = recipe("surrogate")
    rule = replace(made.rule, start=convert.Convert())
    with pytest.raises(SettingsError, match="^parameters.ENCODER: RULE surrogate needs values as rates"):
        replace(made, rule=rule, encoder=LatencyEncoder(made.encoder.n_steps))


@pytest.mark.parametrize("name", ["ridge", "convert", "softlif"])
def test_the_first_layer_is_scaled_for_the_rate_of_the_encoder(name, tmp_path):
    """At a quarter of the rate weights are four times as large; biases, thresholds and later layers are the same."""
    rng, rule = np.random.default_rng(0), recipe(name).rule
    model = Sequential((1, 3, 4), Dense(6, neuron=rule.neuron), Dense(3, neuron=rule.neuron), SpikeCount())
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    if name != "ridge":
        convert.save(tmp_path / "w.npz", [rng.normal(size=shape) for shape in shapes],
                     [rng.normal(size=shape[0]) for shape in shapes])
        rule = replace(rule, weights=str(tmp_path / "w.npz"))
    images, labels = rng.random((40, 1, 3, 4)).astype(np.float32), rng.integers(0, 3, 40)
    (whole, after), (quarter, same) = (RULES[name].load()(
        model, images, labels, np.random.default_rng(1), rule, encoder=RegularEncoder(max_rate=rate))[0]
        for rate in (1.0, 0.25))
    assert np.allclose(quarter.kernels, 4.0 * whole.kernels) and np.array_equal(same.kernels, after.kernels)
    for one, other in ((quarter, whole), (same, after)):
        assert np.array_equal(one.v_thresh, other.v_thresh) and np.array_equal(one.i_offset, other.i_offset)


def test_a_filter_that_calls_its_channels_digits_says_what_each_is_worth():
    class Halves:
        channels, worth = 2, (1.0,)

        def __call__(self, images):
            return np.stack([images, images], axis=1)

    made = recipe("convert")
    with pytest.raises(SettingsError, match="^parameters.FILTER.worth: must be a number for each of its 2 channels"):
        replace(made, image_filter=Halves(), model=Sequential((2, 28, 28), *made.model.layers))
