"""Settings: a good file is read as it stands, and a bad one is an error that says where and what would be right."""

from pathlib import Path

import pytest

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.filters import DifferenceOfGaussians
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment.settings import load

ROOT = Path(__file__).parents[2]

GOOD = """from spikingconvnet import LatencyEncoder
from spikingconvnet import STDP, Classifier, Conv2D
from spikingconvnet import Sequential
from spikingconvnet import DifferenceOfGaussians
DATASET = "digits"
FILTER = DifferenceOfGaussians()
ENCODER = LatencyEncoder(n_steps=15)
SLOT = 38
_HIDDEN = 1
helper = 2
MODEL = Sequential((2, 28, 26), Conv2D(4, (5, 3), training=STDP()), Classifier(grid=4))
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a parameters file, the good one with replacements and lines at its end: its path."""
    def make(*lines, text=GOOD, **replacements):
        for name, value in replacements.items():
            kept = [line for line in text.splitlines() if not line.startswith(f"{name} =")]
            assert len(kept) < len(text.splitlines())
            text = "\n".join(kept) + "\n" + ("" if value is None else f"{name} = {value}\n")
        path = tmp_path / "parameters.py"
        path.write_text(text + "\n".join(lines))
        return path

    return make


def test_a_good_file_gives_its_values_and_the_documented_defaults(write):
    found = load(write())
    assert (found.dataset, found.slot, found.seed, found.classes) == ("digits", 38, 0, tuple(range(10)))
    assert (found.n_train, found.n_validation, found.n_test, found.per_class) == (None, 0, None, False)
    assert found.image_filter == DifferenceOfGaussians() and found.encoder == LatencyEncoder(n_steps=15)
    assert found.model.shapes[0] == (2, 28, 26) and load(str(write())).slot == 38


def test_deformed_copies_are_made_only_if_asked_for(write):
    text = GOOD.replace("import DifferenceOfGaussians", "import Deformation, DifferenceOfGaussians")
    assert load(write()).deformation is None
    assert load(write("DEFORMATION = Deformation(copies=2)", text=text)).deformation == Deformation(copies=2)
    with pytest.raises(SettingsError, match="DEFORMATION: must be a Deformation, or None"):
        load(write("DEFORMATION = 3"))


def test_imported_classes_hidden_names_and_small_names_are_no_parameters(write):
    assert load(write("import numpy as np", "from math import pi", "class HELPER: pass")).slot == 38


EXPERIMENTS = [path for path in (ROOT / "parameters.py", *sorted((ROOT / "examples").glob("*.py")))
               if "\nMODEL = " in path.read_text()]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_parameters_files_of_the_project_can_be_loaded(path):
    assert load(path).model.stages


def test_there_are_parameters_files_to_load():
    assert ROOT / "parameters.py" in EXPERIMENTS


def test_a_record_under_a_name_of_its_own_is_a_building_block(write):
    cell = ("from spikingconvnet import IFCurrExp", "CELL = IFCurrExp()")
    used = "MODEL = Sequential((2, 28, 26), Conv2D(4, (5, 3), neuron=CELL), Classifier(grid=4))"
    assert load(write(*cell, used)).slot == 38
    with pytest.raises(SettingsError, match="CELL is not a parameter, and nothing uses it; known are DATASET"):
        load(write(*cell))


@pytest.mark.parametrize("name", ["n_train", "seed", "Slot", "reset"])
def test_a_small_name_of_a_parameter_that_nothing_uses_is_a_mistake(write, name):
    with pytest.raises(SettingsError, match=rf"line 12: {name} is not a parameter; did you mean {name.upper()}\?"):
        load(write(f"{name} = 40"))
    assert load(write(f"{name} = 40", f"helper = {name}")).slot == 38
    assert load(write("def small():", f"    {name} = 40")).slot == 38


def test_a_small_name_is_no_parameter_behind_a_recipe_either(tmp_path):
    path = tmp_path / "parameters.py"
    path.write_text("from spikingconvnet.experiment.recipes.ridge import *\n")
    assert load(path).n_train == 60_000
    path.write_text("from spikingconvnet.experiment.recipes.ridge import *\nn_train = 100\n")
    with pytest.raises(SettingsError, match=r"line 2: n_train is not a parameter; did you mean N_TRAIN\?"):
        load(path)


def test_a_mechanism_called_rule_has_to_be_used(write):
    rule = ("from spikingconvnet import STDPMechanism", "RULE = STDPMechanism()")
    with pytest.raises(SettingsError, match="RULE: must be used by a layer, as STDP"):
        load(write(*rule))
    used = "MODEL = Sequential((2, 28, 26), Conv2D(4, 5, training=STDP(mechanism=RULE)), Classifier(grid=4))"
    assert load(write(*rule, used)).rule is None


@pytest.mark.parametrize("readout", ["SpikeCount()", "Membrane()"])
@pytest.mark.parametrize("given", ["training=STDP()", "training=STDP(windows=40, chunks=2)", "firing=0.2", "gain=3.0",
                                   "centred=False"])
@pytest.mark.parametrize("layer", ["Dense(4, {}), Dense(10)", "Conv2D(4, 5, {}), Dense(10)", "Dense(10, {})"])
def test_what_only_layer_wise_learning_reads_is_refused_where_all_layers_learn_at_once(write, readout, given, layer):
    imports = "from spikingconvnet import Dense, Membrane, SpikeCount"
    model = f"MODEL = Sequential((2, 28, 28), {layer.format(given)}, {readout})"
    with pytest.raises(SettingsError, match=rf"line 13: \w+\.{given.partition('=')[0]}: has no effect in a model that"):
        load(write(imports, model))
    assert load(write(imports, model.replace(f", {given}", ""))).slot == 38
    assert load(write(imports, model.replace(readout, "Classifier()"))).slot == 38


def test_deformed_copies_belong_to_a_classifier(write):
    with pytest.raises(SettingsError, match="DEFORMATION: must be left out for a model without a Classifier"):
        load(write("from spikingconvnet import Dense, SpikeCount",
                   "from spikingconvnet import Deformation", "DEFORMATION = Deformation()",
                   "MODEL = Sequential((2, 28, 28), Dense(10), SpikeCount())"))


@pytest.mark.parametrize("line, hint", [("N_TRIAN = 5", "did you mean N_TRAIN?"), ("SEEDS = 5", "did you mean SEED?"),
                                        ("SLOTS = 5", "did you mean SLOT?"), ("Q = 5", "known are DATASET, CLASSES")])
def test_an_unknown_name_is_refused_with_a_hint(write, line, hint):
    with pytest.raises(SettingsError) as caught:
        load(write(line))
    assert f"{line.split()[0]} is not a parameter" in str(caught.value) and hint in str(caught.value)


@pytest.mark.parametrize("name", ["DATASET", "FILTER", "ENCODER", "SLOT", "MODEL"])
def test_a_missing_name_is_named(write, name):
    with pytest.raises(SettingsError, match=f"parameters.py: {name} missing; see parameters.py"):
        load(write(**{name: None}))


def test_an_empty_file_names_everything_that_is_missing(write):
    with pytest.raises(SettingsError, match="DATASET, FILTER, ENCODER, SLOT, MODEL missing"):
        load(write(text=""))


def test_a_missing_file_or_a_directory_says_what_to_copy(tmp_path):
    for path in (tmp_path / "nothing.py", tmp_path):
        with pytest.raises(SettingsError, match="no such parameters file; copy parameters.py"):
            load(path)


@pytest.mark.parametrize("line, text", [
    ("SLOT = (1,", "SyntaxError"), ("  SLOT = 1", "IndentationError"), ("SLOT = 'a", "SyntaxError"),
    ("SLOT = slot", "NameError"), ("SLOT = 1 + 'a'", "TypeError"), ("SLOT = int('a')", "ValueError"),
    ("import nowhere_at_all", "ModuleNotFoundError"), ("SLOT = MODEL.slot", "AttributeError"),
    ("SLOT = 1 / 0", "ZeroDivisionError"), ("SLOT = [][1]", "IndexError"), ("SLOT = {}['a']", "KeyError"),
    ("SLOT = 10.0 ** 1000", "OverflowError"), ("assert SLOT == 1", "AssertionError"),
    ("open('nowhere/at/all')", "FileNotFoundError"), ("raise RuntimeError('no')", "RuntimeError"),
    ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"), ("[0] * 2 ** 60", "MemoryError"),
    ("raise EOFError", "EOFError"), ("next(iter(()))", "StopIteration"), ("exit()", "SystemExit: it ends the program"),
    ("import sys; sys.exit(3)", "SystemExit: it ends the program"), ("class E(Exception): pass\nraise E", ""),
    ("from spikingconvnet.model.layers import AvgPool3D", "ImportError")])
def test_a_file_that_does_not_run_is_an_error_with_its_line(write, line, text):
    with pytest.raises(SettingsError, match=rf"parameters\.py, line 1[23]: {text}") as caught:
        load(write(line))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_parameters_file_is_refused_by_its_size_or_its_depth(write, tmp_path):
    path = tmp_path / "parameters.py"
    path.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(SettingsError, match=r"parameters\.py\.size: must be at most 1,048,576 bytes"):
        load(path)
    path.write_text("SLOT = " + "(" * 5000 + ")" * 5000)
    with pytest.raises(SettingsError, match=r"parameters\.py"):
        load(path)


@pytest.mark.parametrize("module", ["layers", "encoding", "neurons", "plasticity", "preprocessing"])
def test_all_records_of_a_module_can_be_imported_at_once(write, module):
    assert load(write(f"from spikingconvnet.{module} import *")).slot == 38


@pytest.mark.parametrize("value, text", [
    ("range(10 ** 400)", "at most 1000 classes"), ("(x for x in (0, 1))", "class ids"), ("{0, 1, 'a'}", "class ids"),
    ("[0, 1.0]", "class ids"), ("range(0)", "class ids, as in range|two classes or more")])
def test_classes_are_some_whole_numbers(write, value, text):
    with pytest.raises(SettingsError, match=rf"parameters\.CLASSES: must be .*({text})"):
        load(write(f"CLASSES = {value}"))


@pytest.mark.parametrize("seed", [2 ** 32, 10 ** 5000], ids=["33 bits", "5000 digits"])
def test_a_seed_is_one_that_every_library_takes(write, seed):
    assert load(write("SEED = 2 ** 32 - 1")).seed == 2 ** 32 - 1
    with pytest.raises(SettingsError, match=r"parameters\.SEED: must be at most 4,294,967,295"):
        load(write()).with_seed(seed)


def test_bytes_that_are_no_text_are_an_error_of_the_file(tmp_path):
    path = tmp_path / "parameters.py"
    for content in (b"SEED = 1\n\x00", b"# \xff\xfe\nSEED = 1\n", b"\x80\x81"):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=r"parameters\.py"):
            load(path)


def test_an_error_of_a_layer_keeps_its_text_and_gets_file_and_line(write):
    with pytest.raises(SettingsError, match=r"parameters\.py, line 12: Conv2D\.filters: must be .*, got 0$"):
        load(write("Conv2D(0, 3)"))


@pytest.mark.parametrize("name, value, text", [
    ("SLOT", "15", r"parameters\.SLOT: must be more steps than the encoder's 15, got 15"),
    ("SLOT", "38.0", r"parameters\.SLOT"),
    ("SLOT", "'38'", r"parameters\.SLOT"),
    ("MODEL", "Conv2D(4, 5)", r"parameters\.MODEL: must be a Sequential model"),
    ("MODEL", "Sequential", r"parameters\.MODEL: must be a Sequential model"),
    ("MODEL", "Sequential((1, 28, 28), Conv2D(4, 5), Classifier())", r"the 2 channels that FILTER makes"),
    ("MODEL", "Sequential((2, 28, 28))", r"a Conv2D or Dense"),
    ("MODEL", "Sequential((2, 28, 28), Conv2D(4, 5))", r"has no Classifier"),
    ("FILTER", "DifferenceOfGaussians", r"parameters\.FILTER: .*FILTER = \.\.\.\(\)"),
    ("FILTER", "None", r"parameters\.FILTER"),
    ("FILTER", "len", r"parameters\.FILTER"),
    ("ENCODER", "LatencyEncoder", r"parameters\.ENCODER: .*ENCODER = \.\.\.\(\)"),
    ("ENCODER", "'latency'", r"parameters\.ENCODER"),
    ("DATASET", "5", r"parameters\.DATASET: must be a directory or URL, got 5"),
    ("DATASET", "None", r"parameters\.DATASET")])
def test_a_wrong_value_is_refused_by_its_name_in_the_file(write, name, value, text):
    with pytest.raises(SettingsError, match=text):
        load(write(**{name: value}))


@pytest.mark.parametrize("line, text", [("CLASSES = 5", r"parameters\.CLASSES"), ("SEED = -1", r"parameters\.SEED"),
                                        ("SEED = 1.5", r"parameters\.SEED"), ("SEED = None", r"parameters\.SEED")])
def test_a_wrong_optional_value_is_refused_too(write, line, text):
    with pytest.raises(SettingsError, match=text):
        load(write(line))


def test_another_seed_is_checked_like_the_first(write):
    found = load(write("SEED = 4"))
    assert found.with_seed(None) is found and found.with_seed(0).seed == 0 and found.seed == 4
    with pytest.raises(SettingsError, match=r"parameters\.SEED"):
        found.with_seed(-1)


def test_a_relative_dataset_is_looked_for_beside_the_file_and_above(write, tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    (tmp_path / "runs" / "one").mkdir(parents=True)
    copy = tmp_path / "runs" / "one" / "parameters.py"
    copy.write_text(GOOD)
    assert load(write()).dataset == load(copy).dataset == str(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert load(copy).dataset == "digits"


@pytest.mark.parametrize("dataset", ["http://example.org/mnist", "/nowhere/at/all"])
def test_a_url_and_an_absolute_directory_stay_as_they_are(write, dataset):
    assert load(write(DATASET=repr(dataset))).dataset == dataset


def test_a_file_of_no_sensible_size_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "parameters.py"
    with open(path, "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SettingsError, match="size: must be at most 1,048,576 bytes for a parameters file"):
        load(path)
