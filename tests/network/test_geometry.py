"""Window arithmetic against loops, for rectangles, remainders and strides that differ by axis."""

import naive
import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spikingconvnet.network.geometry import grid_cells, output_size, pooled_neurons, receptive_fields, through

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 8))
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(SHAPES, PAIRS, PAIRS)
@example((2, 5, 7), (3, 2), (2, 3))
@example((2, 4, 3), (4, 3), (1, 1))
@example((1, 1, 1), (1, 1), (4, 4))
def test_windows_equal_the_naive_ones(shape, kernel, strides):
    assume(kernel[0] <= shape[1] and kernel[1] <= shape[2])
    fields = receptive_fields(shape, kernel, strides)
    assert fields.tolist() == naive.receptive_fields(shape, kernel, strides)
    assert len(fields) == np.prod(output_size(shape, kernel, strides)) and fields.dtype == np.int64


@given(SHAPES, PAIRS, PAIRS)
def test_a_kernel_larger_than_the_input_has_no_position(shape, kernel, strides):
    assume(kernel[0] > shape[1] or kernel[1] > shape[2])
    assert min(output_size(shape, kernel, strides)) <= 0


@given(SHAPES, PAIRS)
@example((2, 5, 7), (2, 3))
@example((2, 2, 2), (3, 1))
def test_pooled_neurons_equal_the_naive_ones(shape, pool):
    assert pooled_neurons(shape, pool).tolist() == naive.pooled_neurons(shape, pool)


@given(SHAPES, st.data())
def test_grid_cells_equal_the_naive_ones_and_none_is_empty(shape, data):
    grid = data.draw(st.tuples(st.integers(1, shape[1]), st.integers(1, shape[2])))
    cells = grid_cells(shape, grid)
    assert cells.tolist() == naive.grid_cells(shape, grid)
    sizes = np.bincount(cells, minlength=shape[0] * grid[0] * grid[1])
    assert sizes.min() >= 1
    share = (-(-shape[1] // grid[0])) * (-(-shape[2] // grid[1]))
    assert sizes.max() <= share


def test_a_cell_per_neuron_numbers_the_neurons():
    assert grid_cells((2, 3, 5), (3, 5)).tolist() == list(range(30))
    assert pooled_neurons((2, 3, 5), (1, 1)).tolist() == list(range(30))


@given(st.integers(1, 3), PAIRS, PAIRS, st.tuples(st.integers(1, 2), st.integers(1, 2)), st.integers(0, 99))
@example(2, (3, 2), (2, 1), (2, 2), 0)
def test_kernels_led_back_are_the_product_of_both_layers(channels, size, strides, pool, seed):
    rng = np.random.default_rng(seed)
    below = rng.normal(size=(3, channels, *size))
    above = rng.normal(size=(2, 3, *rng.integers(1, 4, 2)))
    field = through(above, below, strides, pool)
    shape = field.shape[1:]                                 # an input that one window of the upper layer fills
    middle = (3, *output_size(shape, size, strides))
    weights = [np.zeros((np.prod(middle), np.prod(shape))), np.zeros((2, np.prod(middle)))]
    for table, (kernels, given_shape, steps, pooled) in zip(
            weights, ((below, shape, strides, (1, 1)), (above, middle, (1, 1), pool))):
        for pre, post, weight in naive.conv_connections(kernels.tolist(), given_shape, steps, pooled):
            table[post, pre] += weight
    assert np.allclose(weights[1] @ weights[0], field.reshape(2, -1))
