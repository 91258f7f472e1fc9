"""The naive twins against results worked out by hand, so that a twin's error does not become the package's."""

import ast
from pathlib import Path

import naive


def test_the_twins_import_nothing_from_the_package():
    tree = ast.parse(Path(naive.__file__).read_text())
    imported = [name.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                for name in node.names]
    assert imported == ["math"]


def test_windows_of_a_grid_of_three_by_four_by_hand():
    assert naive.receptive_fields((1, 3, 4), (2, 2), (1, 2)) == [[0, 1, 4, 5], [2, 3, 6, 7], [4, 5, 8, 9],
                                                                 [6, 7, 10, 11]]
    assert naive.receptive_fields((2, 2, 3), (2, 1), (1, 2)) == [[0, 3, 6, 9], [2, 5, 8, 11]]


def test_pooling_and_cells_by_hand():
    assert naive.pooled_neurons((2, 2, 3), (2, 2)) == [0, 0, -1, 0, 0, -1, 1, 1, -1, 1, 1, -1]
    assert naive.grid_cells((1, 2, 5), (1, 2)) == [0, 0, 0, 1, 1] * 2


def test_a_convolution_behind_pooling_by_hand():
    kernels = [[[[4.0, -8.0]]]]
    assert naive.conv_connections(kernels, (1, 1, 4), pool=(1, 2)) == [(0, 0, 2.0), (1, 0, 2.0), (2, 0, -4.0),
                                                                      (3, 0, -4.0)]
    assert naive.per_map_kernels([[[[1.0]]], [[[2.0]]]], 2) == [
        [[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]], [[[2.0]], [[0.0]]], [[[0.0]], [[2.0]]]]


def test_a_board_s_convolution_by_hand():
    kernel = [[1.0, 2.0, 3.0]] * 3
    assert naive.board_convolution_shape((5, 4), (3, 3), (2, 1), (1, 0), (1, 1)) == (2, 2)
    # One pixel in the middle of 3 x 3 reaches the one output with the middle of the kernel, a corner with a corner.
    found = naive.board_convolution([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], (3, 3))
    assert found == [(n, 0, 9.0 - n) for n in range(9)]
    # Along x with a stride of 2 the first pixel's numerator is -1: it contributes nothing.
    reached = {pre for pre, _, _ in naive.board_convolution(kernel, (5, 3), (2, 1))}
    assert reached == set(range(15)) - {0, 5, 10}
    # 3 x 1 (x by y): the pixel x is numerator x - 1.
    assert naive.board_convolution([[1.0], [2.0], [3.0]], (3, 1)) == [(0, 0, 3.0), (1, 0, 2.0), (2, 0, 1.0)]


def test_a_board_s_pool_dense_by_hand():
    weights = [[[4.0, 0.0]], [[-8.0, 12.0]]]
    assert naive.board_pool_dense(weights, (4, 1), (2, 1)) == [(0, 0, 2.0), (1, 0, 2.0), (2, 0, -4.0), (2, 1, 6.0),
                                                               (3, 0, -4.0), (3, 1, 6.0)]


def test_gaussians_sum_to_4096_and_blur_keeps_grey_inside():
    assert naive.gaussian(0.1) == [4096]
    assert sum(naive.gaussian(1.0)) == 4096 and naive.gaussian(1.0) == naive.gaussian(1.0)[::-1]
    assert naive.blur([[7] * 9] * 9, 0.5)[4][4] == 7 << 24


def test_latency_and_regular_spikes_by_hand():
    assert [naive.latency_step(v, 4, 0.0, 1.0) for v in (0.0, 0.1, 0.5, 0.51, 1.0, 3.0)] == [None, 3, 2, 1, 0, 0]
    assert naive.regular_steps(0.5, 5) == [1, 3] and naive.regular_steps(1.0, 2) == [0, 1]
