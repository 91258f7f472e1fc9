"""Events of silicon retinas as spikes: files, bins, and an experiment on them."""

import json
import re
import struct

import numpy as np
import pytest

from spikingconvnet import (
    BPSTDP,
    RSTDP,
    STDP,
    Classifier,
    Conv2D,
    Convert,
    Dense,
    Descent,
    EventBins,
    Experiment,
    FeedbackAlignment,
    IFCurrExp,
    Membrane,
    Ridge,
    Sequential,
    SoftLIF,
    SpikeCount,
    Surrogate,
    backends,
    load_settings,
)
from spikingconvnet.cli.main import main
from spikingconvnet.data import sources
from spikingconvnet.data.events import EventSet, event_set
from spikingconvnet.data.sources_events import read_events, unlabelled
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import Settings
from spikingconvnet.experiment.crossvalidation import Scheme

EVENTS = np.array([[100, 5, 7, 1], [1099, 6, 7, 0], [1100, 5, 7, 1], [9000, 33, 20, 1]])       # t, x, y, p


def nmnist(events):
    """As N-MNIST writes them, with an overflow before the last."""
    rows = [(x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255) for t, x, y, p in events.tolist()]
    rows.insert(3, (0, 240, 0, 0, 0))
    return np.array(rows, np.uint8).tobytes()


def aedat(events, more=b""):
    word = events[:, 1] << 17 | events[:, 2] << 2 | events[:, 3] << 1 | 1
    body = np.column_stack([word, events[:, 0]]).astype("<u4").tobytes()
    other = struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)         # a packet of special events
    return (b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + other
            + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, len(events), len(events), len(events)) + body + more)


def fields(events):
    found = np.zeros(len(events), [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")])
    for name, column in zip("txyp", events.T):
        found[name] = column
    return found


def write(folder, kind, events):
    path = folder / f"events.{kind.split()[0]}"
    if kind == "bin":
        path.write_bytes(nmnist(events - np.array([[0, 0, 0, 0]] * 3 + [[8192, 0, 0, 0]])))
    elif kind == "aedat":
        path.write_bytes(aedat(events))
    elif kind == "npy":
        np.save(path, fields(events))
    elif kind == "npy columns":
        np.save(path, events)
    elif kind == "npz":
        np.savez(path, **dict(zip("txyp", events.T)))
    else:
        rows = events if kind == "csv" else events[:, [1, 2, 0, 3]]
        np.savetxt(path, rows, "%d", ",", header="t,x,y,p" if kind == "csv" else "x,y,t,p", comments="")
    return path


@pytest.mark.parametrize("kind", ["bin", "aedat", "npy", "npy columns", "npz", "csv", "csv otherwise"])
def test_every_kind_of_file_gives_the_same_events(tmp_path, kind):
    assert np.array_equal(read_events(write(tmp_path, kind, EVENTS)), EVENTS)


@pytest.mark.parametrize("name, content, text", [
    ("a.bin", nmnist(EVENTS)[:-1], "events of N-MNIST have 5 each"),
    ("a.aedat", b"#!AER-DAT2.0\r\n", "is not AEDAT 3.1"),
    ("a.aedat", b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "is not AEDAT 3.1"),
    ("a.aedat", aedat(EVENTS)[:-1], "ends within a packet"),
    ("a.aedat", aedat(EVENTS, b"xx"), "ends within the header of a packet"),
    ("a.csv", b"t,x,y\n1,2,3\n", "3 columns; events need t, x, y and p"),
    ("a.npy", None, "events are the arrays")])
def test_a_damaged_file_of_events_is_told(tmp_path, name, content, text):
    path = tmp_path / name
    if content is None:
        np.save(path, np.zeros((3, 7)))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=text):
        read_events(path)


def one_sample(events=EVENTS):
    t, x, y, p = events.T
    return event_set(np.zeros(len(t), int), t, x, y, p, np.zeros(1, np.uint8), (34, 34))


def test_an_event_outside_of_the_sensor_is_told_with_the_sensors_size():
    with pytest.raises(DataError, match=re.escape("x: must be pixels of a sensor of 20x30, got [0, 30]")):
        event_set(np.zeros(2, int), np.arange(2), np.array([0, 30]), np.zeros(2, int), np.zeros(2, int),
                  np.zeros(1, np.uint8), (20, 30))


def place(channel, row, column, rows=34, columns=34):
    return (channel * rows + row) * columns + column


@pytest.mark.parametrize("bins, neurons, steps", [
    (EventBins(n_steps=20), [place(0, 7, 5), place(1, 7, 6), place(0, 7, 5), place(0, 20, 33)], [0, 0, 1, 8]),
    (EventBins(n_steps=8), [place(0, 7, 5), place(1, 7, 6), place(0, 7, 5)], [0, 0, 1]),
    (EventBins(n_steps=20, polarity=False, per_step=2000.0), [place(0, 7, 5), place(0, 7, 6), place(0, 20, 33)],
     [0, 0, 4]),
    (EventBins(n_steps=20, polarity=False, per_step=2000.0, pool=2, once=False),
     [place(0, 3, 2, 17, 17)] * 1 + [place(0, 3, 2, 17, 17), place(0, 3, 3, 17, 17), place(0, 10, 16, 17, 17)],
     [0, 0, 0, 4]),
    (EventBins(n_steps=20, crop=(7, 5, 2, 1)), [0, 0], [0, 1])])
def test_events_are_binned_cropped_and_pooled(bins, neurons, steps):
    _, found, when = bins(one_sample()).events()
    assert (found.tolist(), when.tolist()) == (neurons, steps)
    assert bins(one_sample()).shape == bins.shape


@pytest.mark.parametrize("changes, neurons, shares", [
    ({"clip": 1}, [place(0, 7, 5), place(1, 7, 6), place(0, 20, 33)], {"clip": 0.25}),
    ({"clip": 1, "n_steps": 8, "polarity": False, "crop": (0, 0, 20, 6)}, [place(0, 7, 5, 20, 6)],
     {"crop": 0.5, "clip": 0.25}),
    ({"n_steps": 8}, [place(0, 7, 5), place(1, 7, 6), place(0, 7, 5)], {"n_steps": 0.25}),
    ({"per_step": 2000.0, "clip": 2}, [place(0, 7, 5), place(1, 7, 6), place(0, 20, 33)], {"once": 0.25}),
    ({"per_step": 2000.0, "once": False, "pool": 34, "polarity": False, "clip": 2}, [0, 0], {"clip": 0.5})])
def test_what_is_left_out_is_told_by_its_field(changes, neurons, shares):
    bins = EventBins(**{"n_steps": 20, **changes})
    assert bins(one_sample()).events()[1].tolist() == neurons
    assert bins.left_out(one_sample()) == {"crop": 0.0, "n_steps": 0.0, "once": 0.0, "clip": 0.0, **shares}


def test_values_are_counts_over_scale():
    counts = EventBins(n_steps=20, once=False)
    assert counts.values(one_sample())[0, 0, 7, 5] == 2.0 and counts.max_rate == 1 / 20
    assert EventBins(n_steps=20, scale=20).values(one_sample())[0, 0, 7, 5] == pytest.approx(0.1)
    assert EventBins(n_steps=20, scale=4.0).values(one_sample())[0, 0, 7, 5] == 0.5
    assert repr(EventBins()) == ("EventBins(size=(34, 34), n_steps=300, per_step=1000.0, crop=None, pool=1,"
                                 " polarity=True, once=True)")         # as in digests of before
    assert repr(counts).endswith("once=False)") and "scale=4.0" in repr(EventBins(scale=4.0))


def test_events_of_which_none_is_seen_are_refused_and_lost_ones_told(caplog):
    with caplog.at_level("INFO"):
        bins = EventBins(n_steps=8)
        bins.check(bins(one_sample()), one_sample(), "train")
    assert "train events: ENCODER leaves out 25.0 % by n_steps" in caplog.text
    bins = EventBins(crop=(0, 0, 5, 5))
    with pytest.raises(SettingsError, match="no spike of any of the 1 test samples; .* left out: 100.0 % by crop"):
        bins.check(bins(one_sample()), one_sample(), "test")


def test_sets_are_joined():
    small = event_set(np.array([0, 1]), [5, 7], np.array([1, 2]), np.array([0, 0]), np.ones(2),
                      np.array([7, 8], np.uint8))
    both = small.joined(one_sample())
    assert both.labels.tolist() == [7, 8, 0] and both.offsets.tolist() == [0, 1, 2, 6]
    assert both.images.shape == (3, 34, 34) and both.x.tolist() == [1, 2, 5, 6, 5, 33]
    assert both.select([2]).t.tolist() == one_sample().t.tolist()


def test_a_sample_begins_with_its_first_event_and_can_be_chosen():
    samples = np.array([1, 0, 1, 0])
    found = event_set(samples, [500, 7000, 400, 9000], np.arange(4), np.zeros(4, int), np.ones(4),
                      np.array([3, 4], np.uint8))
    assert found.t.tolist() == [0, 2000, 0, 100] and found.x.tolist() == [1, 3, 2, 0]
    again = found.select([1, 0, 1])
    assert again.labels.tolist() == [4, 3, 4] and again.x.tolist() == [2, 0, 1, 3, 2, 0]
    assert np.array_equal(again.images, found.images[[1, 0, 1]]) and again.images.max() == 255
    bins = EventBins(size=(1, 4), n_steps=3)
    assert bins(again).samples(1, 2) == bins(found).samples(0, 1)
    assert bins.values(found)[0, 0, 0].tolist() == pytest.approx([0, 1, 0, 1])


@pytest.mark.parametrize("changes, text", [
    ({"crop": (30, 0, 5, 5)}, "crop: must be within 34x34"), ({"pool": 35}, "pool: must be at most 34"),
    ({"scale": 0}, "scale"), ({"clip": 0}, "clip"),
    ({"n_steps": 0}, "n_steps"), ({"per_step": 0.0}, "per_step"), ({"size": 34}, "size")])
def test_bins_that_cannot_be_are_refused(changes, text):
    with pytest.raises(SettingsError, match=text):
        EventBins(**changes)


def test_events_outside_the_sensor_are_refused():
    with pytest.raises(DataError, match="EventBins.size: must be at least 34x34"):
        EventBins(size=(30, 30))(one_sample())
    with pytest.raises(DataError, match="x: must be pixels"):
        event_set([0], [0], np.array([-1]), np.array([0]), np.array([1]), np.zeros(1, np.uint8))


def bars(rng, label):
    """A bar that moves: upright ones to the right, lying ones down."""
    step = np.repeat(np.arange(12), 6)
    across = np.tile(np.arange(6), 12)
    x, y = (step + 2, across + 2) if label else (across + 2, step + 2)
    t = 1000 * step + rng.integers(0, 900, len(step))
    return np.column_stack([t, x + rng.integers(0, 2), y, np.ones(len(t), int)])


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("moving"), np.random.default_rng(0)
    for part, n in (("Train", 40), ("Test", 16)):
        for i in range(n):
            place = folder / part / ("lying", "upright")[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{i:03d}.npy", fields(bars(rng, i % 2)))
    return folder


def test_a_folder_of_events_is_a_set(moving):
    found = sources.load(moving)
    assert isinstance(found.train, EventSet) and (len(found.train), len(found.test)) == (40, 16)
    assert found.names == {0: "lying", 1: "upright"}
    assert found.train.labels[:4].tolist() == [0, 1, 0, 1]         # in turn: what sees the first ones sees all classes
    arrays = {f"{name}{end}": value for end, part in (("", found.train), ("_test", found.test)) for name, value in (
        ("t", part.t), ("x", part.x), ("y", part.y), ("p", part.p), ("labels", part.labels),
        ("sample", np.repeat(np.arange(len(part)), np.diff(part.offsets))))}
    np.savez(moving.parent / "moving.npz", **arrays)
    again = sources.load(moving.parent / "moving.npz")
    assert np.array_equal(again.train.t, found.train.t) and again.test == found.test


def test_data_sets_as_tonics_are_taken(tmp_path):
    rng = np.random.default_rng(1)
    found = sources.load([(fields(bars(rng, i % 2)), i % 2) for i in range(10)])
    assert isinstance(found.train, EventSet) and (len(found.train), len(found.test)) == (8, 2)


def test_gestures_are_cut_out_of_their_recordings(tmp_path):
    for part, name in (("train", "user01"), ("test", "user02")):
        (tmp_path / f"trials_to_{part}.txt").write_text(f"{name}.aedat\n")
        (tmp_path / f"{name}.aedat").write_bytes(aedat(EVENTS))
        (tmp_path / f"{name}_labels.csv").write_text("class,startTime_usec,endTime_usec\n3,0,1100\n5,1100,9001\n")
    found = sources.load(tmp_path)
    assert found.train.labels.tolist() == [3, 5] and np.diff(found.train.offsets).tolist() == [2, 2]
    (tmp_path / "user02_labels.csv").unlink()
    with pytest.raises(DataError, match="user02_labels.csv: is missing"):
        sources.load(tmp_path)


CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
BINS = EventBins(size=(16, 16), n_steps=14)


@pytest.fixture(scope="module")
def learned(moving, tmp_path_factory):
    layer = Conv2D(4, 5, neuron=CELL, firing=0.2, lateral=1.0,
                   training=STDP(windows=60, chunks=3, min_spikes=5, pattern_steps=12))
    settings = Settings(str(moving), BINS, BINS, 30, Sequential(BINS.shape, layer, Classifier(grid=3, C=1.0)))
    made = Experiment(settings, tmp_path_factory.mktemp("run"))
    made.load_data()
    made.train_layer(1)
    made.train_svm()
    return made


def test_a_layer_learns_from_events(learned):
    assert learned.settings.classes == (0, 1) and learned.data("train")["spikes"].n_steps == 30
    assert learned.test().accuracy == 1.0
    assert learned.data("train")["images"].shape == (40, 14, 15)


def test_the_board_fires_the_same_spikes_of_events(learned):
    network = learned.network(1, learned.data("test")["spikes"].samples(0, 2))
    local, board = (backends.run(network, backend=name, **options).spikes["layer1"]
                    for name, options in (("local", {}), ("spinnaker", {"target": "emulated"})))
    assert local.n_events > 0 and local == board


def chain(source, folder, rule, bins=BINS, hidden=20, slot=40, readout=None, **more):
    """An experiment of a Dense network and a rule that trains all of it."""
    layers = [Dense(hidden, neuron=rule.neuron)] if hidden else []
    readout = readout or SpikeCount(last=bins.n_steps + len(layers) + 1)
    model = Sequential(bins.shape, *layers, Dense(2, neuron=rule.output_neuron or rule.neuron), readout)
    made = Experiment(Settings(str(source), bins, bins, slot, model, (0, 1), rule=rule, reset=True, **more), folder)
    made.load_data()
    return made


DESCENT = Descent(epochs=10, batch=10, learning_rate=0.01)
RULES = {
    "ridge": lambda: (Ridge(), {}),
    "convert": lambda: (Convert(descent=DESCENT, dropout=0.0, peak_rate=0.5, calibration=8, start=0.5), {}),
    "softlif": lambda: (SoftLIF(descent=DESCENT, dropout=0.0, random_start=False),
                        {"readout": Membrane(first=5, last=15)}),
    "feedback": lambda: (FeedbackAlignment(), {}),
    "bpstdp": lambda: (BPSTDP(epochs=5, n_steps=14, window=2, mu=0.01), {}),
    "rstdp": lambda: (RSTDP(epochs=2, pattern_steps=16), {"hidden": 0, "readout": Membrane(first=14, last=15)})}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_events_and_is_tested_with_them_in_time(name, moving, tmp_path):
    if name in ("convert", "softlif"):
        pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")
    rule, more = RULES[name]()
    made = chain(moving, tmp_path, rule, **more)
    made.train_chain()
    assert made.test().accuracy >= (0.5 if name in ("softlif", "bpstdp") else 0.7)      # of two; they have too few
    spikes = BINS(sources.load(moving).test).with_gap(40)
    assert made.timelines.spikes(0, "test", made.data("test")) == [spikes]
    assert made.network(1, spikes).populations[0].given_spikes == spikes
    assert made.answers("test")["spikes"][:, 0].tolist() == np.diff(spikes.offsets[::40]).tolist()


def test_what_the_order_of_events_tells_is_learned_from_events_in_time(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")
    rng, arrays = np.random.default_rng(0), {}
    for end, n in (("", 60), ("_test", 20)):        # a point that goes to the right or to the left, in a row of its own
        labels, step = np.arange(n) % 2, np.tile(np.arange(8), n)
        right = np.repeat(labels, 8)
        arrays |= {f"t{end}": 1000 * step, f"x{end}": np.where(right, step, 7 - step), f"labels{end}": labels,
                   f"y{end}": np.repeat(rng.integers(0, 3, n), 8), f"p{end}": np.ones(8 * n, int),
                   f"sample{end}": np.repeat(np.arange(n), 8)}
    np.savez(tmp_path / "points.npz", **arrays)
    bins = EventBins(size=(3, 8), n_steps=8, polarity=False)
    descent = Descent(epochs=15, batch=10, learning_rate=0.05, shift=1)
    reached = {}
    for rule in (Surrogate(spread=2.0, descent=descent), Ridge()):
        made = chain(tmp_path / "points.npz", tmp_path / rule.name, rule, bins, 12, 12, n_validation=10)
        told = made.train_chain()
        reached[rule.name] = made.test().accuracy
        if rule.name == "surrogate":
            assert told["float_validation_accuracy"] >= 0.9
    assert reached["surrogate"] >= 0.9 and reached["ridge"] <= 0.7         # of which the second sees rates, all alike


def test_rules_refuse_rates_that_they_cannot_have(moving, tmp_path):
    bins = EventBins(size=(16, 16), n_steps=14, once=False, pool=16, polarity=False)
    rule = BPSTDP(n_steps=14, window=2)
    with pytest.raises(SettingsError, match="spikes a step'?, .*once=True|must be one that makes at most one spike"):
        chain(moving, tmp_path / "a", rule, bins).train_chain()
    pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")
    with pytest.raises(SettingsError, match="Convert.norm: must be another one where an input is above 1"):
        chain(moving, tmp_path / "b", Convert(norm="model"), bins).train_chain()


def test_events_are_cross_validated(moving, tmp_path):
    made = chain(moving, tmp_path, Ridge())
    assert made.cross_validate(Scheme(1, 4))["network"][0] >= 0.7


def test_new_events_are_answered(moving, tmp_path, capsys):
    path = tmp_path / "p.py"
    path.write_text(f"from spikingconvnet import *\nDATASET = {str(moving)!r}\nENCODER = EventBins(size=(16, 16),"
                    " n_steps=14)\nSLOT = 40\nRULE = Ridge()\nMODEL = Sequential((2, 16, 16), Dense(20,"
                    " neuron=RULE.neuron), Dense(2, neuron=RULE.neuron), SpikeCount())\nCLASSES = (0, 1)\n")
    run = ["--run-dir", str(tmp_path / "run"), "--quiet"]
    assert main(["--mode", "loaddata", "--parameters", str(path), *run]) == 0
    assert main(["--mode", "training", *run]) == 0
    capsys.readouterr()
    some = moving / "Test" / "upright"
    assert main(["--mode", "predict", "--images", str(some), *run, "--json"]) == 0
    told = [row["label"] for row in json.loads(capsys.readouterr().out)["predictions"]]
    assert len(told) == 8 and told.count("upright") >= 6
    names, events = unlabelled([some / "001.npy"])
    assert names == [str(some / "001.npy")] and len(events) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no events are in this folder"):
        unlabelled([tmp_path / "none"])
    np.savez(tmp_path / "two.npz", **dict(zip("txyp", EVENTS.T)), sample=np.array([0, 0, 1, 1]))
    assert np.diff(unlabelled([tmp_path / "two.npz"])[1].offsets).tolist() == [2, 2]


def test_parameters_for_events_have_no_filter(moving, tmp_path):
    path = tmp_path / "p.py"
    text = (f"from spikingconvnet import *\nDATASET = {str(moving)!r}\nENCODER = EventBins(size=(16, 16), n_steps=14)\n"
            "SLOT = 30\nMODEL = Sequential((2, 16, 16), Conv2D(4, 5), Classifier())\n")
    path.write_text(text)
    assert load_settings(path).image_filter == BINS
    for more, wrong in (("FILTER = Intensity()", "FILTER: must be left out with EventBins"),
                        ("MODEL = Sequential((2, 8, 8), Conv2D(4, 5), Classifier())", r"a model for \(2, 16, 16\)")):
        path.write_text(f"{text}{more}\n")
        with pytest.raises(SettingsError, match=wrong):
            load_settings(path)
