"""Pages of runs in a real browser, at two sizes, in light and in dark: every control, and axe-core. ``make browser``.

Pictures of them are kept in ``build/browser/shots``.
"""

from pathlib import Path

import numpy as np
import pytest
from pages import HOSTILE

from spikingconvnet import (
    STDP,
    Classifier,
    Colours,
    Conv2D,
    Dense,
    DifferenceOfGaussians,
    Experiment,
    FeedbackAlignment,
    IFCurrExp,
    LatencyEncoder,
    RegularEncoder,
    Sequential,
    SpikeCount,
)
from spikingconvnet.experiment import Settings
from spikingconvnet.experiment.report import gather

BUILD = Path(__file__).parents[2] / "build/browser"
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
FINDING = {"name": "dropped_packets", "severity": "invalid", "cause": "3 packets were dropped", "fix": "run it again",
           "source": "", "value": 3, "where": ["chip 0,1"], "places": 1, "steps": [0, 9]}
CHIPS = [{"x": x, "y": 1, "router": {"packets": 70, "dropped": 3 * x}, "cores": [
    {"p": p, "population": f"layer{1 + p % 2}", "first": 0, "last": 63, "counts": {"late": 7 * x} if p else {}}
    for p in range(1, 18)]} for x in (0, 1)]

pytestmark = pytest.mark.browser


def squares(folder):
    """Squares at a place for each of three classes, whose names mean something to HTML: the path of a data set."""
    images, rng = np.zeros((60, 12, 12), np.uint8), np.random.default_rng(0)
    for i, image in enumerate(images):
        image[4 * (i % 3):4 * (i % 3) + 4, 4 * (i % 3):4 * (i % 3) + 4] = rng.integers(100, 255)
        image[rng.integers(12, size=20), rng.integers(12, size=20)] = 255
    np.savez(folder / "set.npz", images=np.repeat(images[..., None], 3, axis=3),
             labels=np.array(HOSTILE)[np.arange(60) % 3])
    return str(folder / "set.npz")


def layered(folder):
    """A run that learns layer after layer, with a board that did not do well."""
    layer = Conv2D(4, 5, neuron=CELL, firing=0.2, training=STDP(windows=40, chunks=4, min_spikes=3))
    model = Sequential((2, 12, 12), layer, Conv2D(3, 3, neuron=CELL, firing=0.3), Classifier(grid=2))
    made = Experiment(Settings(squares(folder), DifferenceOfGaussians(contrast=0.2), LatencyEncoder(), 25, model,
                               (0, 1, 2), n_test=12), folder / "layered", jobs=1)
    made.load_data()
    made.train_layer(1)
    made.train_layer(2, "random")
    layer = made.layer(2)
    how = {**layer.pop("how"), "board": {"verdict": "invalid", "runs": 2, "cores": 34, "findings": [FINDING],
                                         "chips": CHIPS}}
    made.stored.layer(2).write(how, **{name: value for name, value in layer.items() if name != "made_from"})
    made.train_svm()
    own = {"accuracy": 0.5, "agreement": 0.75, "latency": 12.5, "unanswered": 1}
    made.keep_result("test", {**made.test().entry("test"), "verdict": "invalid", "on_board": own})
    return made


def whole(folder):
    """A run that is trained as a whole, with loss, accuracy over time and colours."""
    rule = FeedbackAlignment(epochs=5)
    model = Sequential((3, 12, 12), Dense(8, neuron=rule.neuron), Dense(3, neuron=rule.neuron), SpikeCount(last=12))
    made = Experiment(Settings(squares(folder), Colours(), RegularEncoder(n_steps=12, max_rate=1.0), 13, model,
                               (0, 1, 2), rule=rule, reset=True, n_test=12), folder / "whole", jobs=1)
    made.load_data()
    made.train_chain()
    made.keep_result("test", {**made.test().entry("test"), "over_time": made.over_time("test")})
    return made


def test_nothing_is_wrong_with_pages_of_every_kind(tmp_path, benchmark_named):
    one, other = layered(tmp_path), whole(tmp_path)
    pages = [gather.write(one), gather.write(other), gather.write_beside(one, other)]
    shots = BUILD / "shots"
    assert benchmark_named("report_in_browser").looked_at(pages, shots, BUILD) == []
    assert len(list(shots.glob("layered-*.png"))) == 4


def test_what_is_wrong_is_found(tmp_path, benchmark_named):
    page = tmp_path / "wrong.html"
    page.write_text("<!DOCTYPE html><html><head><title>x</title></head><body><main><img src=data:,><button></button>"
                    "<p style='color: #bbb; width: 2000px'>pale</p></main><dialog id=dialog></dialog>"
                    "<script>nothing()</script><script src='https://spikingconvnet.invalid/x.js'></script>", "utf-8")
    wrong = benchmark_named("report_in_browser").looked_at([page], None, BUILD)
    for said in ("axe image-alt", "axe button-name", "axe html-has-lang", "contrast", "no name", "has not filled",
                 "390 pixels, dark: wider than the screen", "exception", "request: https"):
        assert any(said in one for one in wrong), (said, wrong)
