"""One run for all tests of its page."""

import pytest
from pages import squares

from spikingconvnet.cli import main as cli
from spikingconvnet.experiment import figures


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Parameters, and the run directory of a layer that was trained, read out and tested by the command line."""
    folder = tmp_path_factory.mktemp("<b>&run")
    parameters = folder / "p.py"
    parameters.write_text(f"""from spikingconvnet import *
DATASET = {squares(folder)!r}
FILTER, ENCODER, SLOT = DifferenceOfGaussians(contrast=0.2), LatencyEncoder(), 25
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
MODEL = Sequential(
    (2, 12, 12), Conv2D(4, 5, neuron=CELL, firing=0.2, training=STDP(windows=40, chunks=2, min_spikes=3)),
    Classifier(grid=2))
""")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "plot", lambda *_: [])
        words = ["--mode", "demo", "--parameters", str(parameters), "--run-dir", str(folder / "run"), "--jobs", "1"]
        assert cli.main([*words, "--set", "N_TEST=9"]) == 0
    return folder / "run"
