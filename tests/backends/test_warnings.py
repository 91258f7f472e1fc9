"""What is said of a recording: notes and warnings, and how often where nobody has set up logging."""

import logging

import pytest

from spikingconvnet.backends import base
from spikingconvnet.backends.base import Recording, log_warnings
from spikingconvnet.board.lowering import COUNTER_TEXTS


def of(lost, weights=1000, wrapped=0, label="p", saturated=0):
    """A recording of a projection."""
    counts = {"weights": weights, "lost_weights": lost, "wrapped_weights": wrapped}
    texts = [COUNTER_TEXTS[name].format(label=label, **counts) for name in ("lost_weights", "wrapped_weights")
             if counts[name]]
    return Recording({}, saturated={"layer1": saturated}, counters={label: counts}, warnings=tuple(texts))


@pytest.mark.parametrize("lost, level", [(1, "INFO"), (10, "INFO"), (11, "WARNING"), (1000, "WARNING")])
def test_a_few_weights_that_round_to_zero_are_a_note(lost, level, caplog):
    caplog.set_level("INFO")
    log_warnings(of(lost, wrapped=1), logging.getLogger("one"))
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    begin = "note" if level == "INFO" else "warning"
    assert said == [(level, f"{begin}: projection p: {lost} of 1000 weights round to zero"),
                    ("WARNING", "warning: projection p: 1 of 1000 weights wrap in 16 bits")]


@pytest.mark.parametrize("set_up, heard", [(False, 5), (True, 7)])
def test_where_nobody_has_set_up_logging_one_of_a_kind_is_printed(set_up, heard, monkeypatch, caplog):
    logger = logging.getLogger("one")
    monkeypatch.setattr(base, "_printed", set())
    monkeypatch.setattr(logger, "hasHandlers", lambda: set_up)
    for lost, saturated in ((20, 3), (30, 4), (1, 0)):
        log_warnings(of(lost, saturated=saturated), logger)
    for label, more in (("q2", {}), ("q3", {}), ("q3", {"wrapped": 5})):
        log_warnings(of(0 if more else 40, label=label, **more), logger)
    said = list(dict.fromkeys(message.partition(" of ")[0] for message in caplog.messages))
    assert len(caplog.messages) == len(said) == heard and said[:2] == ["warning: projection p: 20",
                                                                       "warning: population layer1: 3 inputs"]
    assert said[-3:] == ["warning: projection q2: 40", "warning: projection q3: 40", "warning: projection q3: 5"]
