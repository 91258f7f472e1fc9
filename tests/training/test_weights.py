"""Files of trained weights: whatever is in them, arrays as they were written or a DataError that names the file."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikingconvnet.errors import DataError
from spikingconvnet.training.chain import weights

SHAPES = {"kernels1": (2, 1, 3, 3), "biases1": (2,)}


def arrays():
    return {name: np.random.default_rng(0).normal(size=shape) for name, shape in SHAPES.items()}


def read(path):
    return weights.read(path, SHAPES, "Rule", "somebody.save")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_a_data_error_or_what_was_written(tmp_path, data):
    path = tmp_path / "w.npz"
    weights.write(path, arrays())
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)):]
    for _ in range(data.draw(st.integers(1, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        found = read(path)
    except DataError as error:
        assert str(error).startswith(f"Rule.weights: {path}: ")
    else:
        assert all(np.array_equal(found[name], array) for name, array in arrays().items())


@pytest.mark.parametrize("change, text", [
    ({"biases1": np.array([1.0, np.nan])}, "biases1: must be finite numbers"),
    ({"biases1": np.array(["a", "b"])}, "biases1: must be finite numbers"),
    ({"biases1": np.array([None, 1])}, "cannot be read .*; write it with somebody.save"),
    ({"kernels1": np.zeros(3)}, r"kernels1: must be of shape \(2, 1, 3, 3\), as MODEL says, got \(3,\)")])
def test_what_are_no_weights_is_refused(tmp_path, change, text):
    weights.write(tmp_path / "w.npz", {**arrays(), **change})
    with pytest.raises(DataError, match=f"w.npz: {text}"):
        read(tmp_path / "w.npz")


def test_a_file_of_another_kind_is_refused(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros(3))
    for name in ("w.npy", "none.npz"):
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            read(tmp_path / name)
