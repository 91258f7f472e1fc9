"""Parameters as TOML, and single settings by name."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import spikingconvnet as scn
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import overrides, settings, tables

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "parameters.py", *sorted((ROOT / "spikingconvnet/experiment/recipes").glob("*.py")),
         *(path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem not in ("library", "digits"))]
SMALL = 'DATASET = "x"\nSLOT = 30\nFILTER = {type = "Intensity"}\nENCODER = {type = "LatencyEncoder"}\n'
MODEL = 'MODEL = {type = "Sequential", input_shape = [1, 9, 9], layers = [%s, {type = "Classifier", grid = 2}]}\n'
CONV = '{type = "Conv2D", filters = 2, kernel_size = 3}'


@pytest.fixture
def toml(tmp_path):
    """A function that loads a text as TOML."""
    def load(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return settings.load(path)

    return load


@pytest.fixture(scope="module")
def base():
    return settings.load(ROOT / "parameters.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_parameters_of_the_project_are_the_same_as_toml(path, tmp_path):
    one = settings.load(path)
    scn.experiment.save_settings(one, tmp_path / "one.toml")
    assert repr(settings.load(tmp_path / "one.toml")) == repr(one) and " object at " not in repr(one)


def test_what_toml_has_no_letters_for_comes_back(toml, base):
    odd = replace(base, dataset='a "b"\\c\t\x7f é')
    assert toml(tables.written(settings.as_tables(odd))).dataset == odd.dataset
    assert tables.finite({"a": [float("inf"), 1.5, True]}) == {"a": ["inf", 1.5, True]}


def test_a_number_that_is_only_equal_to_the_default_is_written(toml, base):
    whole = changed(base, "MODEL.1.neuron.tau_refrac=0", "MODEL.1.lateral=-0.0", "MODEL.1.gain=20")
    assert repr(toml(tables.written(settings.as_tables(whole)))) == repr(whole)


def test_the_example_of_the_page_can_be_loaded(toml):
    text = re.search("```toml\n(.*?)```", (ROOT / "docs/settings.md").read_text(), re.DOTALL)[1]
    assert toml(text).model.layers[0].training == scn.STDP(windows=2000)


@pytest.mark.parametrize("text, wanted", [
    ("SLOT = ", "is not TOML"), ("a = " + "[" * 5000, "is not TOML"), ("SLOT = 1\nSLOT = 2", "is not TOML"),
    ("SLOTT = 3", "there is no SLOTT; did you mean SLOT?"),
    ("ENCODER = 3", "FILTER, SLOT, MODEL missing"),
    (SMALL + MODEL % '{type = "Conv2D", kernel_size = 3}', "MODEL.layers.0.filters: must be given, as Conv2D needs it"),
    (SMALL + MODEL % '{type = "Conv2d", filters = 2, kernel_size = 3}', "did you mean Conv2D?"),
    (SMALL + MODEL % '{filters = 2, kernel_size = 3}', 'MODEL.layers.0.type: must name a record'),
    (SMALL + MODEL % '{type = "Conv2D", filter = 2, kernel_size = 3}', "no filter; did you mean filters?"),
    (SMALL + MODEL % '{type = "Conv2D", filters = 0, kernel_size = 3}', "Conv2D.filters: must be a whole number"),
    (SMALL + MODEL % '{type = "Experiment", filters = 2}',  "got 'Experiment'"),
    (SMALL + MODEL % '{type = "Experimnt", filters = 2}',  "got 'Experimnt'"),
    (SMALL + 'MODEL = {type = "Sequential", input_shape = [1, 9, 9], layers = 3}', "MODEL.layers: must be an array"),
    (SMALL + MODEL % '{type = "Spikes"}', "must name a record"),
    (SMALL + MODEL % '{type = "open"}', "must name a record"), (SMALL + MODEL % '{type = ["Conv2D"]}', "must name"),
    (SMALL.replace("30", "2030-01-01") + MODEL % CONV, "parameters.SLOT: must be"),
    (SMALL + MODEL % CONV + "SEED = true", "parameters.SEED: must be")])
def test_what_is_wrong_in_toml_is_a_sentence(toml, text, wanted):
    with pytest.raises(SettingsError, match=re.escape(wanted)):
        toml(text)


def test_nothing_that_toml_names_is_executed(toml):
    assert toml(SMALL + MODEL % CONV).n_train is None
    with pytest.raises(SettingsError, match="must be"):
        toml(SMALL.replace("30", '"__import__(\'os\').abort()"') + MODEL % CONV)


@pytest.mark.parametrize("value", ["a\udcffb", ["a\udcffb"]])
def test_a_name_that_is_no_utf_8_cannot_be_written(value):
    with pytest.raises(SettingsError, match=r"a\\udcffb: a name that is no UTF-8 .*; rename it"):
        tables.written({"DATASET": value})


def test_an_object_of_ones_own_needs_python(base):
    @dataclass(frozen=True)
    class Own:
        channels: int = 2

        def __call__(self, images):
            return images

    with pytest.raises(SettingsError, match="FILTER: must be a record of the package"):
        settings.as_tables(replace(base, image_filter=Own()))
    assert overrides.changed(replace(base, image_filter=Own(1 + 1)), {"FILTER.channels": "2"}).image_filter == Own()


def changed(base, *words):
    return overrides.changed(base, overrides.parted(words))


def test_values_go_into_records_all_at_once(base):
    found = changed(base, "N_TRAIN=1000", "ENCODER.n_steps=35", "SLOT=40", "MODEL.1.filters=32", "MODEL.readout.C=2.0",
                    "MODEL.1.training.windows=2000", "MODEL.1.training.homeostasis=[0.1, 0.2]", "CLASSES=0,1,2",
                    "N_TEST=none", "MODEL.1.training.mechanism.timing_dependence.A_plus=0.01", "PER_CLASS=true")
    conv, last = found.model.layers
    assert (found.n_train, found.n_test, found.slot, found.encoder.n_steps) == (1000, None, 40, 35)
    assert (conv.filters, conv.training.windows, conv.training.homeostasis) == (32, 2000, (0.1, 0.2))
    assert conv.training.mechanism.timing_dependence.A_plus == 0.01 and last.C == 2.0
    assert found.classes == (0, 1, 2) and found.per_class is True and conv.neuron == base.model.layers[0].neuron
    assert base.model.layers[0].filters == 48


def test_layers_are_counted_as_for_the_command_line():
    deep = settings.load(ROOT / "spikingconvnet/experiment/recipes/convert.py")
    found = changed(deep, "MODEL.2.filters=20", "MODEL.pool2.pool_size=3", "MODEL.3.units=10", "MODEL.readout.last=30")
    assert [type(layer).__name__ for layer in found.model.layers] == [type(one).__name__ for one in deep.model.layers]
    assert found.model.stages[1].layer.filters == 20 and found.model.layers[1].pool_size == (3, 3)
    assert found.model.layers[-1].last == 30


def test_a_record_is_given_whole_as_toml_and_changed_further(base):
    found = changed(base, 'ENCODER={type = "RegularEncoder", n_steps = 20}', "ENCODER.max_rate=0.5")
    assert found.encoder == scn.RegularEncoder(n_steps=20, max_rate=0.5)
    bare = replace(base, model=scn.Sequential((2, 28, 28), scn.Conv2D(4, 5), scn.Classifier()))
    assert changed(bare, "MODEL.1.training.windows=500").model.layers[0].training == scn.STDP(windows=500)


@pytest.mark.parametrize("word, wanted", [
    ("N_TRIAN=3", "there is no N_TRIAN; did you mean N_TRAIN?"), ("n_train=3", "did you mean N_TRAIN?"),
    ("MODEL.2.filters=3", "--set MODEL: there is no 2; known are input_shape, 1, readout"),
    ("MODEL.1.fliters=3", "--set MODEL.1: there is no fliters; did you mean filters?"),
    ("N_TRAIN=1000x", "parameters.N_TRAIN: must be a whole number"), ("MODEL.1.filters=2.5", "Conv2D.filters: must be"),
    ("CLASSES=range(3)", "parameters.CLASSES: must be class ids"), ("SLOT=15", "more steps than the encoder's 15"),
    ("DATASET.x=1", "--set DATASET: is 'data/mnist' and has no fields"), ("RULE.epochs=1", "--set RULE: is None"),
    ("N_TRAIN", "must be NAME=VALUE"), ("=3", "must be NAME=VALUE"), ("N_TRAIN=", "must be NAME=VALUE"),
    ("A..b=3", "must be NAME=VALUE"), ("DATASET=https://me:word@h/x", "give it as --source"),
    ("ENCODER={type = \"RateEncode\"}", "did you mean RateEncoder?"), ("SLOT=" + "9" * 5000, "SLOT: must be"),
    ("SLOT=" + "[" * 5000, "SLOT: must be")])
def test_what_is_wrong_with_a_value_is_a_sentence(base, word, wanted):
    with pytest.raises(SettingsError, match=re.escape(wanted)) as error:
        changed(base, word)
    assert "word@" not in str(error.value)


def test_a_name_is_given_once(base):
    with pytest.raises(SettingsError, match="--set SLOT: is given twice"):
        changed(base, "SLOT=40", "SLOT=41")


@pytest.mark.parametrize("text, parts", [("1,2,4", 3), ("(1, 2),(3, 4)", 2), ("(1, 2)", 1), ("'a,b',c", 2),
                                         ('{type = "A", n = 1},{type = "B"}', 2), ("[1,2],3", 2), ("x", 1)])
def test_commas_outside_of_brackets_part_the_values_of_a_sweep(text, parts):
    assert len(overrides.values(text)) == parts and ",".join(overrides.values(text)) == text
