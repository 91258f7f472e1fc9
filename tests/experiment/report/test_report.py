"""The page of a run: what is on it for every kind of run, what it never does, and that nothing in the data gets out."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pages import HOSTILE, opened, squares

from spikingconvnet import (
    STDP,
    Classifier,
    Colours,
    Conv2D,
    Dense,
    DifferenceOfGaussians,
    EventBins,
    Experiment,
    FeedbackAlignment,
    IFCurrExp,
    LatencyEncoder,
    Membrane,
    RegularEncoder,
    Ridge,
    Sequential,
    SpikeCount,
    plotting,
)
from spikingconvnet.cli import main as cli
from spikingconvnet.cli import modes
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment import Settings
from spikingconvnet.experiment.report import answers, gather, page, pictures, samples
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.report.packing import packed, packed_spikes, quantised, unpacked
from spikingconvnet.health import places
from spikingconvnet.network.spikes import Spikes

ROOT = Path(__file__).parents[3]
OLD = ROOT / "tests/golden/run-0.1"
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
LAYER = Conv2D(4, 5, neuron=CELL, firing=0.2, training=STDP(windows=40, chunks=2, min_spikes=3))


def shown(experiment):
    """The JSON of the page of a run, and the page."""
    text = gather.write(experiment).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]), text


@pytest.fixture
def copy(run, tmp_path):
    """A copy of that run, and a function that makes the JSON of its page."""
    there = shutil.copytree(run, tmp_path / "run")

    def made(*words):
        assert cli.main(["--mode", "report", "--run-dir", str(there), "--jobs", "1", *words]) == 0
        text = (there / "report.html").read_text(encoding="utf-8")
        return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["runs"][0]

    return there, made


def test_the_demo_leaves_a_page_and_the_mode_makes_the_same_bytes(run, capsys):
    before = (run / "report.html").read_bytes()
    assert cli.main(["--mode", "report", "--run-dir", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    assert (run / "report.html").read_bytes() == before and len(before) < 1_000_000


def test_a_page_counts_its_parts(copy):
    experiment, told = opened(copy[0]), []
    experiment.progress = lambda items, description: told.append((description, len(items))) or items
    gather.write(experiment)
    assert ("report", 9) in told


def test_a_page_asks_for_nothing_and_what_data_say_stays_data(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 2 and text.count("<script") == 2 and "alert(1)</" not in text
    assert not re.findall(r"<[^>]*\b(?:src|href|action|data)\s*=(?!\s*[\"']?(?:data:,|#))", text.split('id="data"')[0])
    assert not re.search(r"@import|url\(|\beval\b|innerHTML|outerHTML|insertAdjacent|document\.write|fetch\(|XMLHttp"
                         r"|new Function|import\(", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    style, script = re.search("<style>(.*)</style>", text, re.DOTALL)[1], text.rpartition("<script>")[2]
    assert page.policy(style, script.partition("</script>")[0]) == policy
    content = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert sorted(content["runs"][0]["classes"]) == sorted(HOSTILE)
    assert str(run) in content["runs"][0]["about"]["commands"][1]["command"]


@pytest.mark.parametrize("text", [*HOSTILE, "&lt;", "<!--", "\x00", "\u2028\u2029", "\ud800", "€"])
def test_a_block_of_json_is_no_html_and_comes_back(text):
    block = page.block({text: [text]})
    assert json.loads(block) == {text: [text]} and not set(block) & set("<>&\u2028\u2029") and block.isascii()


def test_a_title_is_escaped():
    text = page.rendered({"runs": [{"about": {"name": HOSTILE[0]}}], "beside": None}).decode()
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)" in text and text.count("</script>") == 2
    text = page.rendered({"runs": [{"about": {"name": "a\udcff\u202eé"}}], "beside": None}).decode()
    assert "<title>a\\udcff\\u202eé: spikingconvnet</title>" in text
    with pytest.raises(ValueError, match="Out of range float"):
        page.block({"x": float("nan")})


def test_arrays_come_back_in_the_smallest_type():
    rng = np.random.default_rng(0)
    for top, kind in ((255, "u1"), (256, "u2"), (65_536, "u4")):
        array = rng.integers(0, top + 1, (3, 4))
        array[0, 0] = top
        assert packed(array)["type"] == kind and np.array_equal(unpacked(packed(array)), array)
    assert unpacked(packed(np.zeros((0, 3), int))).shape == (0, 3)
    values = rng.normal(size=(5, 6))
    for n_bytes in (1, 2):
        block = json.loads(json.dumps(quantised(values, n_bytes)))
        assert abs(unpacked(block) - values).max() <= 0.5001 * np.ptp(values) / (256 ** n_bytes - 1)
    assert unpacked(quantised(np.full(3, 2.5))).tolist() == [2.5] * 3


def test_what_the_board_itself_answers_is_on_the_page(run):
    experiment = opened(run)
    own = {"accuracy": 0.5, "agreement": 0.75, "latency": 12.5, "unanswered": 1}
    before = experiment.results()["test"]
    try:
        experiment.keep_result("test", {**before, "on_board": own})
        assert shown(opened(run))[0]["runs"][0]["result"]["on_board"] == own
    finally:
        experiment.keep_result("test", before)


def test_what_is_on_the_page_is_what_is_stored(run):
    experiment = opened(run)
    content, held = shown(experiment)[0]["runs"][0], Held(experiment)
    entry, found = experiment.results()["test"], answers.answered(held)
    assert content["result"]["accuracy"] == entry["accuracy"] and content["result"]["confusion"] == entry["confusion"]
    assert content["result"]["floors"][1]["share"] == pytest.approx(1 / 3) and content["result"]["on_board"] is None
    assert found is not None and content["images"]["all_wrong"] == len(found.wrong) == 9 - round(9 * entry["accuracy"])
    assert all(row[1:] == [found.labels[row[0]], found.answers[row[0]]] for row in content["images"]["list"])
    layer = experiment.layer(1)
    block = content["layers"][0]["kernels"]["sets"]["after"]
    assert abs(unpacked(block) - layer["learned"]).max() <= 0.51 * np.ptp(layer["learned"]) / 255
    assert content["layers"][0]["course"]["wins"] == layer["wins"].tolist()
    steps, index = content["samples"], content["samples"]["index"]
    spikes = experiment.data("test")["spikes"]
    first = packed_spikes(spikes.samples(index[0], index[0] + 1))["neurons"]
    assert unpacked(steps["populations"][0]["neurons"])[:len(unpacked(first))].tolist() == unpacked(first).tolist()
    assert steps["agreement"]["of"] == len(index) == 9 and steps["agreement"]["same"] >= 8
    ends = unpacked(steps["votes"]["leads"])[:, -1]
    assert [found.answers[i] for i in index] == ends.tolist()
    assert content["model"]["nodes"][1]["synapses"] == 4 * 8 * 8 * 2 * 25
    assert content["model"]["nodes"][1]["spikes"] == [pytest.approx(found.counts.sum() / 9), "9 images"]
    v = unpacked(steps["membranes"]["layers"][0]["v"])
    assert v.shape == (9, 25, 4) and steps["membranes"]["layers"][0]["thresholds"] == layer["v_thresh"].tolist()
    assert v.max() < 2 * layer["v_thresh"].max()


@pytest.mark.parametrize("lost, part, words", [
    ("features", "images", "--mode testing"), ("svm.npz", "images", "--mode training --layer svm"),
    ("layers", "result", "--mode training --layer 1"), ("layers", "samples", "--mode training --layer 1")])
def test_what_is_lost_is_said_with_the_command_that_makes_it(copy, lost, part, words):
    there, made = copy
    (shutil.rmtree if (there / lost).is_dir() else Path.unlink)(there / lost)
    content = made()
    assert words in content[part]["missing"][0]["command"] and str(there) in content[part]["missing"][0]["command"]
    assert content["images"]["list"] and content["samples"]["populations"][0]["label"] == "input"
    assert len(content["layers"]) == (lost != "layers")


def test_a_run_of_before_has_a_page_and_stands_beside_a_new_one(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    old = shutil.copytree(OLD, tmp_path / "old one")
    assert cli.main(["--mode", "report", str(old), str(run)]) == 0
    path = old / "report-beside-run.html"
    assert capsys.readouterr().out == f"{path}\n" and not (old / "report.html").exists()
    content = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1])
    assert [one["about"]["name"] for one in content["runs"]] == ["old one", "run"]
    assert content["beside"]["accuracy"][0] == 0.55 and content["beside"]["paired"] is None
    assert ["MODEL.layers.0.filters", "3", "4"] in content["beside"]["settings"]
    assert content["runs"][0]["about"]["versions"] == {"spikingconvnet": "0.1.0"}


def test_the_same_run_twice_is_paired_image_by_image(copy, run):
    there, _ = copy
    experiments = [opened(one) for one in (run, there)]
    text = gather.write_beside(*experiments).read_text()
    paired = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["beside"]["paired"]
    assert paired["both"] + paired["none"] == 9 and paired["a"] == paired["b"] == 0 and paired["same_spikes"]


@pytest.mark.parametrize("words, text", [(["one"], "takes no paths or two paths, got one"),
                                         (["nowhere", "nothing"], "holds no run")])
def test_a_page_takes_two_runs_or_none(words, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--mode", "report", *words]) in (2, 5)
    assert text in capsys.readouterr().err
    with pytest.raises(StoreError, match="--mode loaddata"):
        gather.write(Experiment(Settings("nowhere", DifferenceOfGaussians(), LatencyEncoder(), 25,
                                         Sequential((2, 12, 12), LAYER, Classifier())), tmp_path / "empty"))


def test_new_kernels_take_the_old_page_away(copy):
    there, _ = copy
    assert (there / "report.html").exists()
    modes._forget(opened(there), 1)
    assert not (there / "report.html").exists()


@pytest.mark.parametrize("readout", [SpikeCount(last=12), Membrane(last=12)])
def test_a_network_that_is_trained_as_a_whole(tmp_path, readout, monkeypatch):
    rule = Ridge(threshold=0.5)
    model = Sequential((3, 12, 12), Dense(8, neuron=rule.neuron), Dense(3, neuron=rule.neuron), readout)
    made = Experiment(Settings(squares(tmp_path, colour=True), Colours(), RegularEncoder(n_steps=12, max_rate=1.0), 13,
                               model, (0, 1, 2), rule=rule, reset=True), tmp_path / "run", jobs=1)
    made.load_data()
    made.train_chain()
    entry = {**made.test().entry("test"), "over_time": made.over_time("test")}
    made.keep_result("test", entry)
    content = shown(made)[0]["runs"][0]
    assert content["result"]["over_time"]["accuracy"][-1] == entry["accuracy"]
    assert content["images"]["channels"] == ["red", "green", "blue"] and content["images"]["all_wrong"] is not None
    unit = "spikes" if isinstance(readout, SpikeCount) else "mean membrane (mV)"
    assert content["samples"]["votes"]["unit"] == unit
    agreed, index = content["samples"]["agreement"], content["samples"]["index"]
    assert agreed == {"same": len(index), "of": len(index)}
    ends = unpacked(content["samples"]["votes"]["leads"])[:, -1].tolist()
    assert ends == made.answers("test")["units"][index, -1].tolist()
    assert [layer["rule"] for layer in content["layers"]] == ["ridge", "ridge"]
    assert {name for name, _ in content["together"]["numbers"]} >= {"train error", "train accuracy"}
    for layer in content["layers"]:
        assert {name for name, _ in layer["numbers"]} == {"inputs excitatory", "inputs inhibitory", "inputs net",
                                                          "v thresh"}
    assert content["layers"][1]["kernels"]["sets"].keys() == {"fields"}
    assert len(content["samples"]["membranes"]["layers"][1]["neurons"]) == 3
    monkeypatch.setattr(samples, "MOST_SYNAPSES", 30)
    few = shown(made)[0]["runs"][0]["samples"]["membranes"]
    assert few["left_out"] == "layer1 with its 3,456 synapses" and [one["label"] for one in few["layers"]] == ["layer2"]


def test_the_loss_of_a_rule_is_a_course_on_the_page(tmp_path):
    rule = FeedbackAlignment(epochs=2)
    model = Sequential((3, 12, 12), Dense(3, neuron=rule.neuron), SpikeCount(last=12))
    made = Experiment(Settings(squares(tmp_path, colour=True), Colours(), RegularEncoder(n_steps=12, max_rate=1.0), 13,
                               model, (0, 1, 2), rule=rule, reset=True, n_test=3), tmp_path / "run", jobs=1)
    made.load_data()
    told = made.train_chain()
    content = shown(made)[0]["runs"][0]
    assert dict(content["together"]["curves"])["loss"] == told["loss"] and len(told["loss"]) == 2


def test_two_layers_of_events_and_a_floor(tmp_path):
    bins = EventBins(size=(12, 12), n_steps=14)
    events = [np.array([(1000 * t, 2 + t // 4, 3 + (5 * (i % 2)) + k, t % 2) for t in range(14) for k in range(3)])
              for i in range(20)]
    names = dict(zip("txyp", np.concatenate(events).T))
    np.savez(tmp_path / "set.npz", **names, sample=np.repeat(np.arange(20), 42), labels=np.arange(20) % 2)
    model = Sequential(bins.shape, LAYER, Conv2D(3, 3, neuron=CELL, firing=0.3), Classifier(grid=2))
    made = Experiment(Settings(str(tmp_path / "set.npz"), bins, bins, 30, model, (0, 1)), tmp_path / "run", jobs=1)
    made.load_data()
    for number in (1, 2):
        made.train_layer(number, "random")
    content = shown(made)[0]["runs"][0]
    assert "--layer svm" in content["result"]["missing"][0]["command"] and content["samples"]["votes"] is None
    assert "fields" in content["layers"][1]["kernels"]["sets"] and content["layers"][0]["course"] is None
    assert len(content["samples"]["populations"]) == 3 and "--rule random" in content["about"]["commands"][0]["command"]


def test_rare_mistakes_come_before_the_second_of_a_frequent_one():
    labels, given = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([1, 1, 1, 1, 2, 2, 2, 0])
    wrong, right = pictures.chosen(labels, given, 6)
    assert wrong.tolist() == [0, 4, 7, 1] and right.tolist() == [3, 5]
    wrong, right = pictures.chosen(labels, None, 6)
    assert wrong.tolist() == [] and right.tolist() == [0, 3]
    assert samples.in_turn(np.array([5, 6, 7]), np.array([1])).tolist() == [5, 1, 6, 7]


def test_spikes_take_no_more_than_their_share(run):
    held = Held(opened(run))
    all_ = samples.shown(held, np.arange(9), 10 ** 6)
    few = samples.shown(held, np.arange(9), sum(int(samples._bytes(one)[:3].sum()) for one in all_.spikes))
    assert (len(all_.index), len(few.index), len(samples.shown(held, np.arange(9), 1).index)) == (9, 3, 1)
    content = gather.gathered(held, None)
    assert len(json.dumps(content)) < 1.4 * (gather.PICTURES + gather.SPIKES + gather.KERNELS)


def test_a_board_is_shown_with_what_was_wrong_there(copy):
    there, made = copy
    experiment = opened(there)
    counts = {"x": 0, "y": 1, "router": {"packets": 70, "dropped": 3},
              "cores": [{"p": 4, "population": "layer1", "first": 0, "last": 63, "counts": {"late": 7}}]}
    finding = {"name": "late_packets", "severity": "invalid", "cause": "7 late", "fix": "", "source": "", "value": 7,
               "where": ["core 0,1,4"], "places": 1, "steps": [0, 9]}
    layer = experiment.layer(1)
    how = {**layer.pop("how"), "board": {"verdict": "invalid", "runs": 2, "cores": 1, "findings": [finding],
                                         "chips": [counts]}}
    experiment.stored.layer(1).write(how, **{name: value for name, value in layer.items() if name != "made_from"})
    told = made()["board"]
    assert told["verdicts"][0]["verdict"] == "invalid" and told["verdicts"][0]["findings"] == [finding]
    assert told["places"][0]["chips"] == [counts] and 0 < told["loads"][0]["mean"] <= told["loads"][0]["worst"]


def test_counters_of_several_runs_are_those_of_the_largest_network():
    core = {"p": 1, "population": "a", "first": 0, "last": 9, "counts": {"late": 2, "most in a step": 5}}
    one = ({"x": 0, "y": 0, "router": {"packets": 3, "routing entries": 8}, "cores": [core]},)
    two = ({"x": 0, "y": 0, "router": {"packets": 4, "routing entries": 7},
            "cores": [{**core, "counts": {"late": 1, "most in a step": 6}}]},)
    small = ({"x": 0, "y": 0, "router": {"packets": 99}, "cores": []},)
    assert places.together([one, small, two]) == (
        {"x": 0, "y": 0, "router": {"packets": 7, "routing entries": 8},
         "cores": [{**core, "counts": {"late": 3, "most in a step": 6}}]},)
    assert places.together([]) == ()


def test_the_load_of_several_runs_is_that_of_the_one_in_which_a_core_had_most_to_do():
    def of(worst, full):
        load = {"mean": 0.1, "worst": worst, "full": full, "every": 1, "course": [round(100 * worst)]}
        core = {"p": 1, "population": "a", "first": 0, "last": 9, "counts": {}}
        return ({"x": 0, "y": 0, "router": {}, "cores": [{**core, "load": load}]},)
    (chip,) = places.together([of(0.5, 0), of(1.0, 3), of(0.9, 2)])
    assert chip["cores"][0]["load"] == {"mean": 0.1, "worst": 1.0, "full": 5, "every": 1, "course": [100]}


def test_colours_are_those_of_the_figures():
    import matplotlib

    style, script = ((ROOT / "spikingconvnet/experiment/report" / name).read_text() for name in ("page.css", "page.js"))
    for name in ("BLUE", "ORANGE", "GREEN", "RED"):
        assert f"--{name.lower()}: {getattr(plotting.frame, name)}" in style
    for name, stops in ((plotting.frame.SEQUENTIAL, 9), (plotting.frame.DIVERGING, 11)):
        for colour in matplotlib.colormaps[name](np.linspace(0, 1, stops)):
            near = [abs(np.array([int(found[k:k + 2], 16) for k in (1, 3, 5)]) - 255 * colour[:3]).max()
                    for found in re.findall(r'"(#[0-9a-f]{6})"', script)]
            assert min(near) <= 2


def test_first_spikes_of_long_images_are_no_silence():
    spikes = Spikes.from_events([0, 0, 1], [1, 1, 0], [300, 290, 2], (1, 1, 2), 2, 400)
    assert pictures.first_steps(spikes, np.array([1, 0])).tolist() == [[2, 255], [255, 254]]
