"""The only index arithmetic of the package: window positions and the inputs that each of them sees.

Neurons are numbered in the order (channel, row, column). A window covers ``kernel_size`` (rows, columns) of every
channel; one that would hang over the edge does not exist, so ``T' = (T - kernel) // stride + 1`` as in the 2018
SpikingConvNet and in Keras and PyTorch with "valid" padding. Padding is a frame of places without a neuron: windows are
those of the framed map.
"""

import numpy as np

from spikingconvnet.network.arrays import Floats, Ints, Pair, Shape


def pair(size: int | Pair) -> Pair:
    """(rows, columns) of what may be given as one number, which means a square.

    >>> pair(3), pair((1, 2))
    ((3, 3), (1, 2))
    """
    return (size, size) if isinstance(size, int) else size


def output_size(in_shape: Shape, kernel_size: Pair, strides: Pair) -> Pair:
    """Rows and columns of window positions.

    Parameters
    ----------
    in_shape : (C, H, W)
    kernel_size, strides : (rows, columns)

    Returns
    -------
    (int, int)

    >>> output_size((2, 28, 28), (7, 7), (1, 1)), output_size((1, 28, 28), (4, 4), (3, 3))
    ((22, 22), (9, 9))
    """
    rows, columns = ((in_shape[1 + axis] - kernel_size[axis]) // strides[axis] + 1 for axis in (0, 1))
    return rows, columns


def receptive_fields(in_shape: Shape, kernel_size: Pair, strides: Pair) -> Ints:
    """Input neurons seen by each window position.

    Parameters
    ----------
    in_shape : (C, H, W)
    kernel_size, strides : (rows, columns)

    Returns
    -------
    int64 array (positions, C * kernel rows * kernel columns)
        Positions row by row; inside a window channel, row, column.

    >>> receptive_fields((1, 3, 4), (2, 2), (1, 2)).tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7], [4, 5, 8, 9], [6, 7, 10, 11]]
    """
    channels, height, width = in_shape
    out_rows, out_columns = output_size(in_shape, kernel_size, strides)
    corner = ((np.arange(out_rows) * strides[0])[:, None] * width + np.arange(out_columns) * strides[1]).ravel()
    inside = (np.arange(channels)[:, None, None] * height * width
              + np.arange(kernel_size[0])[:, None] * width + np.arange(kernel_size[1])).ravel()
    fields: Ints = corner[:, None] + inside
    return fields


def framed(shape: Shape, padding: Pair) -> Shape:
    """Shape of maps with `padding` rows and columns of nothing on either side.

    >>> framed((2, 28, 28), (1, 2))
    (2, 30, 32)
    """
    return (shape[0], shape[1] + 2 * padding[0], shape[2] + 2 * padding[1])


def pooled_neurons(in_shape: Shape, pool_size: Pair, padding: Pair = (0, 0)) -> Ints:
    """Place in the pooled, then framed grid that each neuron belongs to.

    It is -1 for a remainder at the lower or right edge.

    Parameters
    ----------
    in_shape : (C, H, W)
    pool_size, padding : (rows, columns)

    Returns
    -------
    int64 array (C * H * W,)

    >>> pooled_neurons((1, 2, 5), (2, 2)).tolist(), pooled_neurons((1, 1, 2), (1, 1), (1, 0)).tolist()
    ([0, 0, 1, 1, -1, 0, 0, 1, 1, -1], [2, 3])
    """
    channels, height, width = in_shape
    rows, columns = height // pool_size[0], width // pool_size[1]
    _, framed_rows, framed_columns = framed((channels, rows, columns), padding)
    row, column = np.arange(height) // pool_size[0], np.arange(width) // pool_size[1]
    cell = (row + padding[0])[:, None] * framed_columns + column + padding[1]
    base = np.arange(channels)[:, None, None] * framed_rows * framed_columns
    return np.where((row < rows)[:, None] & (column < columns), base + cell, -1).ravel()


def grid_cells(in_shape: Shape, grid: Pair) -> Ints:
    """Cell of a coarse grid over each channel that each neuron falls into; the cells share rows as evenly as possible.

    Parameters
    ----------
    in_shape : (C, H, W)
    grid : (rows, columns) of cells per channel, at most (H, W)

    Returns
    -------
    int64 array (C * H * W,)
        Cells in the order (channel, cell row, cell column).

    >>> grid_cells((1, 2, 5), (1, 2)).tolist()
    [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    """
    channels, height, width = in_shape
    rows, columns = grid
    cell = (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width
    return (np.arange(channels)[:, None, None] * rows * columns + cell).ravel()


def through(kernels: Floats, below: Floats, strides: Pair, pool: Pair = (1, 1)) -> Floats:
    """Kernels of a layer as kernels over the input of the layer below it, as if that layer were linear.

    Parameters
    ----------
    kernels : float array (filters, channels, rows, columns)
    below : float array (channels, input channels, rows, columns)
        Kernels of the layer below, one for each channel.
    strides, pool : (rows, columns)
        Of the layer below, and of the average pooling behind it.

    Returns
    -------
    float array (filters, input channels, rows, columns)

    >>> through(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 0.0, 3.0]]]]), (1, 1)).tolist()
    [[[[1.0, 2.0, 3.0, 6.0]]]]
    """
    fine = np.kron(kernels, np.ones((1, 1, *pool))) / (pool[0] * pool[1])
    rows, columns = below.shape[2:]
    found = np.zeros((len(kernels), below.shape[1], *((n - 1) * stride + size for n, stride, size in
                                                      zip(fine.shape[2:], strides, (rows, columns)))))
    for row in range(fine.shape[2]):
        for column in range(fine.shape[3]):
            top, left = row * strides[0], column * strides[1]
            found[:, :, top:top + rows, left:left + columns] += np.tensordot(fine[:, :, row, column], below, 1)
    return found
