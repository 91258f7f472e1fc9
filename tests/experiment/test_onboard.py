"""A classifier that is also a population of the network: made once, beside the one on the host, in every network."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import Sequential, backends
from spikingconvnet.cli import main as cli
from spikingconvnet.cli import prediction
from spikingconvnet.experiment import networks, onboard, readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.prediction import Answers
from spikingconvnet.model.head import READOUT


@pytest.fixture
def both(parameters, tmp_path):
    """An Experiment with a fitted classifier, and the same with the classifier on the board, in one run directory."""
    plain = settings.load(parameters(1))
    layers = plain.model.layers
    asked = replace(plain, model=Sequential((2, 28, 28), *layers[:-1], replace(layers[-1], on_board=True)))
    host, board = (Experiment(one, tmp_path / "run", jobs=1) for one in (plain, asked))
    host.load_data()
    host.train_layer(1)
    host.train_svm()
    return host, board


def test_it_takes_the_classifier_that_is_there_and_answers_much_as_it(both):
    host, board = both
    assert not onboard.asked(host) and onboard.asked(board) and board.has_svm()
    assert repr(host.model.classifier) == "Classifier(grid=(3, 3), C=0.1)"
    found = onboard.tested(board, "test")
    alone, = host.timelines.simulate(1, [host.data("test")["spikes"]], (3, 3), "counts")
    assert np.array_equal(host.features("test")[0], alone[0])       # those that came with the answers
    fitted = readout.Readout.from_arrays(host.stored.classifier().read())
    margins = np.sort(fitted.decision(host.features("test")[0]), axis=1)
    assert found["agreement"] > 1 - 2 * np.mean(margins[:, -1] - margins[:, -2] < 0.1) - 0.1
    assert abs(found["accuracy"] - host.test().accuracy) < 0.15 and found["unanswered"] == 0
    assert 0 < found["latency"] < board.settings.slot
    written = [path.stat().st_mtime_ns for path in sorted(board.store.path.glob("**/*.npz"))]
    assert onboard.tested(board, "test") == found
    assert [path.stat().st_mtime_ns for path in sorted(board.store.path.glob("**/*.npz"))] == written


def test_testing_tells_both_answers_and_when_that_of_the_board_is_fired(both, tmp_path, capsys, sketched):
    words = ["--run-dir", str(tmp_path / "run"), "--parameters", str(tmp_path / "parameters.py"), "--jobs", "1"]
    assert cli.main(["--mode", "testing", *words, "--set", "MODEL.readout.on_board=true"]) == 0
    told, own = capsys.readouterr().err, both[1].results()["test"]["on_board"]
    assert (f"of the board's own answers {100 * own['accuracy']:.2f} %, which agree in {100 * own['agreement']:.2f} %,"
            f" fired {own['latency']:.1f} steps after an image begins") in told
    assert cli.main(["--mode", "testing", *words, "--set", "MODEL.readout.on_board=false"]) == 0
    assert "board" not in capsys.readouterr().err


def test_it_stands_behind_the_layers_wherever_a_network_is_asked_for(both):
    host, board = both
    assert len(networks.subjects(board)) == len(networks.subjects(host))        # not made yet
    onboard.make(board)
    last = networks.subjects(board)[-1]
    assert last.name == "readout, inference" and {"layer1", READOUT} <= last.fired.keys()
    assert [p.label for p in networks.trained(board).populations] == ["input", "layer1", "clock", READOUT]
    assert READOUT not in {p.label for p in networks.trained(host).populations}
    spikes = board.data("test")["spikes"].samples(0, 10)
    units, _ = readout.by_first_spike(backends.run(board.network(1, spikes), jobs=1).spikes[READOUT])
    assert np.array_equal(units, board.timelines.winners("test", board.data("test"))["units"][:10])


def test_new_images_are_answered_by_the_board_too(both, tmp_path, capsys):
    host, board = both
    images, known = np.load(board.store.path / "data" / "test.npz")["images"][:12], board.data("test")
    onboard.make(board)
    answers, alone = board.predict(images), host.predict(images)
    winners = board.timelines.winners("test", known)
    assert np.array_equal(answers.units, winners["units"][:12]) and np.array_equal(answers.steps, winners["steps"][:12])
    assert np.array_equal(answers.labels, alone.labels) and np.array_equal(answers.scores, alone.scores)
    assert alone.units is None and alone.steps is None
    assert np.array_equal(board.trained_network().features(images, board.runner), board.features("test")[0][:12])
    np.save(tmp_path / "new.npy", images)
    words = ["--run-dir", str(tmp_path / "run"), "--parameters", str(tmp_path / "parameters.py"), "--images",
             str(tmp_path / "new.npy")]
    for on_board, own in (("true", [[str(c)] for c in answers.classes[answers.units].tolist()]), ("false", [[]] * 12)):
        assert cli.main(["--mode", "predict", *words, "--set", f"MODEL.readout.on_board={on_board}"]) == 0
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert [line[1:] for line in lines] == [[str(label), *one] for label, one in zip(alone.labels.tolist(), own)]


def test_an_image_that_no_unit_fires_for_has_no_answer_of_the_board():
    found = Answers(np.array([4, 7]), np.array([7, 4]), np.array([[0.0, 1.0], [2.0, 1.0]]), frozenset(),
                    np.array([1, -1]), np.array([19, -1]))
    rows = prediction._rows(["a", "b"], found, {7: "seven"})
    assert [(row["label"], row["board"], row["step"]) for row in rows] == [("seven", "seven", 19), (4, None, None)]
    assert prediction._as_table(rows).splitlines() == ["image,label,board,step,score 4,score seven",
                                                       "a,seven,seven,19,0.0,1.0", "b,4,,,2.0,1.0"]
