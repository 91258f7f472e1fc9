"""Slow twins of the package: plain Python, one neuron, pixel or spike at a time, nothing imported from the package.

Shapes are (channels, rows, columns) and neurons count in that order. Images are nested lists, spikes are tuples
(sample, neuron, step). They were written from the docstrings, not from the code.
"""

import math

# Geometry


def size(shape):
    """Neurons of a population."""
    return shape[0] * shape[1] * shape[2]


def neuron(shape, channel, row, column):
    """Number of a neuron, found by counting."""
    count = 0
    for c in range(shape[0]):
        for r in range(shape[1]):
            for col in range(shape[2]):
                if (c, r, col) == (channel, row, column):
                    return count
                count += 1
    raise IndexError((channel, row, column))


def corners(length, kernel, stride):
    """First rows (or columns) of all windows that do not hang over the edge."""
    found, at = [], 0
    while at + kernel <= length:
        found.append(at)
        at += stride
    return found


def receptive_fields(in_shape, kernel_size, strides):
    """For every window position the list of neurons that it sees."""
    fields = []
    for top in corners(in_shape[1], kernel_size[0], strides[0]):
        for left in corners(in_shape[2], kernel_size[1], strides[1]):
            seen = []
            for c in range(in_shape[0]):
                for r in range(top, top + kernel_size[0]):
                    for col in range(left, left + kernel_size[1]):
                        seen.append(neuron(in_shape, c, r, col))
            fields.append(seen)
    return fields


def pooled_shape(in_shape, pool):
    """Shape after pooling; a remainder is dropped."""
    return (in_shape[0], len(corners(in_shape[1], pool[0], pool[0])), len(corners(in_shape[2], pool[1], pool[1])))


def pooled_neurons(in_shape, pool):
    """For every neuron its pooled neuron, -1 in a remainder."""
    out = pooled_shape(in_shape, pool)
    member = [-1] * size(in_shape)
    for c in range(out[0]):
        for i in range(out[1]):
            for j in range(out[2]):
                for dr in range(pool[0]):
                    for dc in range(pool[1]):
                        member[neuron(in_shape, c, i * pool[0] + dr, j * pool[1] + dc)] = neuron(out, c, i, j)
    return member


def grid_cells(in_shape, grid):
    """For every neuron its cell: row ``r`` of ``H`` is in cell row ``i`` of ``n`` if ``i / n <= r / H < (i+1) / n``."""
    cells = []
    for c in range(in_shape[0]):
        for r in range(in_shape[1]):
            for col in range(in_shape[2]):
                i = next(i for i in range(grid[0]) if i * in_shape[1] <= r * grid[0] < (i + 1) * in_shape[1])
                j = next(j for j in range(grid[1]) if j * in_shape[2] <= col * grid[1] < (j + 1) * in_shape[2])
                cells.append((c * grid[0] + i) * grid[1] + j)
    return cells


# Connections


def conv_connections(kernels, pre_shape, strides=(1, 1), pool=(1, 1), padding=(0, 0)):
    """Sorted (pre, post, weight) of a convolution behind average pooling, without the zero weights.

    kernels : nested list (maps, channels, rows, columns)
    """
    mid = pooled_shape(pre_shape, pool)
    rows, columns = len(kernels[0][0]), len(kernels[0][0][0])
    tops = [top - padding[0] for top in corners(mid[1] + 2 * padding[0], rows, strides[0])]
    lefts = [left - padding[1] for left in corners(mid[2] + 2 * padding[1], columns, strides[1])]
    out = (len(kernels), len(tops), len(lefts))
    found = []
    for m in range(out[0]):
        for i, top in enumerate(tops):
            for j, left in enumerate(lefts):
                for c in range(mid[0]):
                    for dr in range(rows):
                        for dc in range(columns):
                            if not (0 <= top + dr < mid[1] and 0 <= left + dc < mid[2]):
                                continue
                            for pr in range(pool[0]):
                                for pc in range(pool[1]):
                                    weight = kernels[m][c][dr][dc] / (pool[0] * pool[1])
                                    pre = neuron(pre_shape, c, (top + dr) * pool[0] + pr, (left + dc) * pool[1] + pc)
                                    if weight != 0:
                                        found.append((pre, neuron(out, m, i, j), weight))
    return sorted(found, key=lambda one: one[:2])


def board_convolution_shape(size, kernel_size, strides, padding, pool):
    """(x, y) of the population behind sPyNNaker's convolution; all arguments in that order."""
    return tuple(max((n // p - (k - 1) + 2 * pad) // s, 1)
                 for n, k, s, pad, p in zip(size, kernel_size, strides, padding, pool))


def board_convolution(kernel, size, strides=(1, 1), padding=(0, 0), pool=(1, 1)):
    """Sorted (pre, post, weight) of the binary that sPyNNaker loads for a convolution, without the zero weights.

    kernel : nested list; its length is the extent in x, that of its rows in y, and its numbers one after another are
    re-read as rows of pixels. size, strides, padding, pool : (x, y). Neurons count along x first.
    """
    kw, kh = len(kernel), len(kernel[0])
    flat = [weight for part in kernel for weight in part]
    width, height = board_convolution_shape(size, (kw, kh), strides, padding, pool)
    found = []
    for x in range(size[0]):
        for y in range(size[1]):
            from_x, from_y = x // pool[0] - kw // 2 + padding[0], y // pool[1] - kh // 2 + padding[1]
            if (strides[0] > 1 and from_x < 0) or (strides[1] > 1 and from_y < 0):
                continue                    # the board divides without sign and ends far outside
            for r in range(-(kh // 2), kh // 2 + 1):
                for c in range(-(kw // 2), kw // 2 + 1):
                    to_x, to_y = from_x // strides[0] + c, from_y // strides[1] + r
                    weight = flat[(r + kh // 2) * kw + c + kw // 2] / (pool[0] * pool[1])
                    if 0 <= to_x < width and 0 <= to_y < height and weight != 0:
                        found.append((y * size[0] + x, to_y * width + to_x, weight))
    return sorted(found, key=lambda one: one[:2])


def board_pool_dense(weights, size, pool=(1, 1)):
    """Sorted (pre, post, weight) of sPyNNaker's pool-dense binary: `weights` is a nested list (x, y, post)."""
    found = []
    for y in range(size[1]):
        for x in range(size[0]):
            for post, weight in enumerate(weights[x // pool[0]][y // pool[1]]):
                if weight != 0:
                    found.append((y * size[0] + x, post, weight / (pool[0] * pool[1])))
    return found


def per_map_kernels(kernels, channels):
    """Kernels over all channels of a layer that looks at every channel alone: map ``filter * channels + channel``."""
    full = []
    for (kernel,) in kernels:
        for channel in range(channels):
            full.append([kernel if c == channel else [[0.0] * len(row) for row in kernel] for c in range(channels)])
    return full


# Filters and encoders


def gaussian(sigma):
    """Whole numbers that sum to 4096, the rounding error in the middle."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-0.5 * (d / sigma) ** 2) for d in range(-radius, radius + 1)]
    profile = [round(4096 * w / math.fsum(weights)) for w in weights]
    profile[radius] += 4096 - sum(profile)
    return profile


def blur(image, sigma):
    """Image of whole numbers, 2**24 times the blurred grey values; beyond the edge it is dark."""
    profile, height, width = gaussian(sigma), len(image), len(image[0])
    radius = len(profile) // 2
    out = [[0] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        out[y][x] += profile[dy + radius] * profile[dx + radius] * int(image[y + dy][x + dx])
    return out


def difference_of_gaussians(image, sigma_centre, sigma_surround, contrast):
    """On-centre and off-centre channel of one image."""
    centre, surround = blur(image, sigma_centre), blur(image, sigma_surround)
    full = 255.0 * contrast * 2 ** 24
    difference = [[(a - b) / full for a, b in zip(*rows)] for rows in zip(centre, surround)]
    return [[[max(v, 0.0) for v in row] for row in difference], [[max(-v, 0.0) for v in row] for row in difference]]


def deformed(image, draws, rotation, stretch, shear, shift):
    """One copy of an image; draws, -1 to 1, of angle, slant, stretch and move of rows and columns (two each)."""
    height, width = len(image), len(image[0])
    angle, slant = math.radians(rotation) * draws[0], shear * draws[1]
    grow = [math.exp(stretch * draws[2]), math.exp(stretch * draws[3])]
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = [[(cos - sin * slant) * grow[0], -sin * grow[1]], [(sin + cos * slant) * grow[0], cos * grow[1]]]
    matrix = [[round(value * 4096) for value in row] for row in matrix]
    moves = [round(shift * draws[4] * 256), round(shift * draws[5] * 256)]

    def pixel(row, column):
        return image[row][column] if 0 <= row < height and 0 <= column < width else 0

    copy = []
    for row in range(height):
        copy.append([])
        for column in range(width):
            # twice the distance from the centre, a whole number, times the matrix: in 2**-13 pixel
            away = (2 * row - height + 1, 2 * column - width + 1)
            y, x = (math.floor((m[0] * away[0] + m[1] * away[1]) / 32) + (n - 1) * 128 + move
                    for m, n, move in zip(matrix, (height, width), moves))
            value = sum(weight * share * pixel(y // 256 + down, x // 256 + right)
                        for down, weight in ((0, 256 - y % 256), (1, y % 256))
                        for right, share in ((0, 256 - x % 256), (1, x % 256)))
            copy[-1].append((value + 32768) // 65536)
    return copy


def latency_step(value, n_steps, threshold, saturation):
    """Step of the one spike of a value; None if it is silent."""
    if value <= threshold:
        return None
    if value >= saturation:
        return 0
    return min(int((saturation - value) / (saturation - threshold) * n_steps), n_steps - 1)


def regular_steps(rate, n_steps):
    """Steps at which the sum of `rate` per step passes a whole number."""
    return [t for t in range(n_steps) if math.floor((t + 1) * rate) > math.floor(t * rate)]


# Spikes


def spike_counts(events, n_samples, shape, grid=None):
    """Spikes per sample and neuron, or per sample and grid cell: nested list."""
    cell = list(range(size(shape))) if grid is None else grid_cells(shape, grid)
    counts = [[0] * (max(cell) + 1) for _ in range(n_samples)]
    for sample, i, _ in events:
        counts[sample][cell[i]] += 1
    return counts


def pooled_events(events, in_shape, pool):
    """Sorted spikes at pooled positions, at most one a step."""
    member = pooled_neurons(in_shape, pool)
    return sorted({(sample, member[i], step) for sample, i, step in events if member[i] >= 0},
                  key=lambda event: (event[0], event[2], event[1]))


def windows(events, n_samples, fields, pattern_steps):
    """All (sample, window) views: a list of sorted (input, step) of the spikes within the pattern."""
    views = []
    for sample in range(n_samples):
        for field in fields:
            views.append(sorted((field.index(i), step) for s, i, step in events
                                if s == sample and i in field and step < pattern_steps))
    return views


def deslanted(image, limit):
    """A grey image without its slant, pixel by pixel: nested lists of whole numbers."""
    height, width = len(image), len(image[0])
    points = [(r, c, image[r][c]) for r in range(height) for c in range(width)]
    total = sum(a for _, _, a in points)
    if not total:
        return image
    rows, columns = sum(r * a for r, _, a in points), sum(c * a for _, c, a in points)
    variance = total * sum(r * r * a for r, _, a in points) - rows ** 2
    covariance = total * sum(r * c * a for r, c, a in points) - rows * columns
    slant = round(256 * max(-limit, min(limit, covariance / variance))) if variance else 0
    found = []
    for r, line in enumerate(image):
        move, new = slant * (r * total - rows) // total, []
        for c in range(width):
            whole, rest = divmod(256 * c + move, 256)
            near, far = (line[x] if 0 <= x < width else 0 for x in (whole, whole + 1))
            new.append((near * (256 - rest) + far * rest + 128) // 256)
        found.append(new)
    return found
