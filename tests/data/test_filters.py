"""Image filters: the difference of Gaussians is exact, to the last bit, against whole numbers in loops."""

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.filters import (
    BitPlanes,
    Deslanted,
    DifferenceOfGaussians,
    Intensity,
    gaussian_matrix,
    together,
    worth_of,
)
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import SettingsError


def images_of(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=25)
@given(st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 7)), st.floats(0.2, 1.0), st.floats(1.01, 2.0),
       st.floats(0.1, 2.0), st.integers(0, 2 ** 32))
@example((2, 5, 9), 1.0, 2.0, 0.35, 0)
@example((0, 5, 9), 1.0, 2.0, 0.35, 0)
def test_the_difference_of_gaussians_equals_its_integer_twin_bit_by_bit(shape, centre, surround, contrast, seed):
    images = images_of(shape, seed)
    found = DifferenceOfGaussians(centre, surround, contrast)(images)
    wanted = [naive.difference_of_gaussians(image.tolist(), centre, surround, contrast) for image in images]
    assert found.shape == (shape[0], 2, *shape[1:]) and found.dtype == np.float64
    assert found.tolist() == wanted


def test_an_image_of_one_grey_has_no_contrast_inside_and_full_images_stay_exact():
    images = np.full((2, 40, 36), 255, np.uint8)
    images[1] = 0
    found = DifferenceOfGaussians()(images)
    assert (found[:, :, 16:24, 16:20] == 0).all() and found[0, :, 0, 0].any() and not found[1].any()


def test_the_filter_gives_the_same_for_a_batch_and_for_each_image():
    images = images_of((5, 9, 13), 3)
    dog = DifferenceOfGaussians()
    assert np.array_equal(dog(images), np.concatenate([dog(images[i:i + 1]) for i in range(5)]))


def test_a_filter_does_not_change_its_images_and_takes_any_layout():
    images = images_of((3, 6, 8), 4)
    kept = images.copy()
    found = DifferenceOfGaussians()(images)
    assert np.array_equal(images, kept)
    assert np.array_equal(DifferenceOfGaussians()(np.asfortranarray(images)), found)


def test_on_and_off_cells_answer_to_opposite_contrast_and_never_both():
    images = np.zeros((2, 11, 13), np.uint8)
    images[0, 5, 6], images[1] = 255, 255
    images[1, 5, 6] = 0
    found = DifferenceOfGaussians()(images)
    assert found[0, 0, 5, 6] > 0 and found[0, 1, 5, 6] == 0
    assert found[1, 1, 5, 6] > 0 and found[1, 0, 5, 6] == 0
    assert (found >= 0).all() and (found.min(axis=1) == 0).all()


@pytest.mark.parametrize("sigma", [0.05, 0.5, 1.0, 2.0, 7.5])
@pytest.mark.parametrize("size", [1, 6, 80])
def test_a_blur_is_symmetric_whole_and_keeps_the_sum_inside(sigma, size):
    matrix = gaussian_matrix(size, sigma)
    assert np.array_equal(matrix, matrix.T) and np.array_equal(matrix, np.rint(matrix)) and (matrix >= 0).all()
    radius = int(4 * sigma + 0.5)
    assert all(row.sum() == 4096 for row in matrix[radius:size - radius])
    assert matrix.sum(axis=1).max() <= 4096


@pytest.mark.parametrize("values", [(0, 1.0, 0.5), (-1.0, 1.0, 0.5), (1.0, 1.0, 0.5), (2.0, 1.0, 0.5), (1.0, 2.0, 0.0),
                                    (1.0, 2.0, -1.0), (float("nan"), 2.0, 0.5), (1.0, float("nan"), 0.5)])
def test_a_filter_that_makes_no_sense_is_refused(values):
    with pytest.raises(SettingsError, match=r"^DifferenceOfGaussians\."):
        DifferenceOfGaussians(*values)


def test_intensity_is_the_grey_value_from_zero_to_one():
    images = np.array([[[0, 51, 255]], [[255, 0, 102]]], np.uint8)
    assert Intensity()(images).tolist() == [[[[0.0, 0.2, 1.0]]], [[[1.0, 0.0, 0.4]]]]
    assert Intensity()(images).shape[1] == Intensity.channels == 1 and DifferenceOfGaussians.channels == 2


@settings(max_examples=25)
@given(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 7)), st.integers(1, 3), st.floats(0, 180),
       st.floats(0, 1), st.floats(0, 1), st.floats(0, 9), st.integers(0, 2 ** 32))
def test_deformed_copies_equal_their_twins_bit_by_bit(shape, copies, rotation, stretch, shear, shift, seed):
    images = images_of(shape, seed)
    found = Deformation(copies, rotation, stretch, shear, shift)(images, np.random.default_rng(seed))
    draws = np.random.default_rng(seed).uniform(-1.0, 1.0, (shape[0] * copies, 6))
    wanted = [naive.deformed(images[i // copies].tolist(), d, rotation, stretch, shear, shift)
              for i, d in enumerate(draws.tolist())]
    assert found.dtype == np.uint8 and found.tolist() == wanted


def test_nothing_asked_for_gives_the_image_and_a_move_moves_it():
    images = images_of((2, 5, 8), 1)
    still = Deformation(2, 0.0, 0.0, 0.0, 0.0)(images, np.random.default_rng(0))
    assert np.array_equal(still, images.repeat(2, axis=0))

    class Whole:
        def uniform(self, low, high, size):
            return np.tile([0.0, 0.0, 0.0, 0.0, 1.0, -1.0], (size[0], 1))

    moved = Deformation(1, 0.0, 0.0, 0.0, 2.0)(images, Whole())
    assert np.array_equal(moved[:, :3, 2:], images[:, 2:, :6]) and not moved[:, 3:].any() and not moved[:, :, :2].any()


def test_copies_of_the_first_images_do_not_depend_on_those_after_them():
    images = images_of((4, 9, 7), 2)
    all_of_them, first = (Deformation(3)(part, np.random.default_rng(5)) for part in (images, images[:2]))
    assert len(all_of_them) == 12 and np.array_equal(all_of_them[:6], first) and not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("values", [{"copies": 0}, {"rotation": -1.0}, {"stretch": -0.1}, {"shear": -0.1},
                                    {"shift": float("nan")}])
def test_a_deformation_that_makes_no_sense_is_refused(values):
    with pytest.raises(SettingsError, match=rf"^Deformation\.{next(iter(values))}"):
        Deformation(**values)


def test_bit_planes_are_the_bits_of_the_grey_value_the_highest_first():
    images = np.array([[[0, 160, 255], [1, 128, 3]]], np.uint8)
    planes = BitPlanes()(images)
    assert planes.shape == (1, 8, 2, 3) and planes[0, :, 0, 1].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
    assert planes[0, :, 1, 2].tolist() == [0] * 6 + [1, 1] and len(BitPlanes.channel_names) == BitPlanes.channels
    assert np.allclose(together(planes, BitPlanes.worth), images[:, None] / 255)


@given(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 7)), st.floats(0.1, 2.0), st.integers(0, 2 ** 32))
@example((1, 5, 6), 1.0, 0)
def test_deslanting_equals_its_twin_pixel_by_pixel(shape, limit, seed):
    images = images_of(shape, seed) * np.random.default_rng(seed).integers(0, 2, shape, dtype=np.uint8)
    found = Deslanted(Intensity(), limit).upright(images)
    assert found.dtype == np.uint8 and found.tolist() == [naive.deslanted(image.tolist(), limit) for image in images]


def test_the_faintest_digit_has_the_slant_of_its_pixels():
    image = np.zeros((1, 6, 6), np.uint8)
    image[0, [2, 3], [2, 3]] = 1
    found = Deslanted(Intensity(), 2.0).upright(image)
    assert found.tolist() == [naive.deslanted(image[0].tolist(), 2.0)] and not np.array_equal(found, image)


def test_a_slanted_bar_is_set_upright_and_an_upright_one_stays():
    slanted, upright = np.zeros((2, 1, 15, 15), np.uint8)
    for row in range(3, 12):
        slanted[0, row, row] = 200
        upright[0, row, 7] = 200
    assert np.array_equal(Deslanted(Intensity()).upright(slanted), upright)
    assert np.array_equal(Deslanted(Intensity()).upright(upright), upright)
    half = Deslanted(Intensity(), limit=0.5).upright(slanted)[0]
    assert (half.argmax(axis=1)[3:12] == 7 + np.arange(-4, 5) // 2).all()


def test_what_is_deslanted_goes_through_the_filter_and_has_its_channels():
    images, dog = images_of((3, 9, 8), 2), DifferenceOfGaussians()
    deslanted = Deslanted(dog)
    assert (deslanted.channels, deslanted.channel_names) == (dog.channels, dog.channel_names)
    assert np.array_equal(deslanted(images), dog(deslanted.upright(images)))
    assert not np.array_equal(deslanted(images), dog(images))


@pytest.mark.parametrize("arguments, name", [({"filter": GaussianReceptiveFields()}, "filter"),
                                             ({"filter": Intensity(), "limit": 0.0}, "limit")])
def test_what_cannot_be_deslanted_is_refused(arguments, name):
    with pytest.raises(SettingsError, match=f"Deslanted.{name}: must be"):
        Deslanted(**arguments)


@pytest.mark.parametrize("image_filter, worth", [
    (Intensity(), None), (DifferenceOfGaussians(), None), (GaussianReceptiveFields(fields=8), None),
    (Deslanted(Intensity()), None), (BitPlanes(), BitPlanes.worth), (Deslanted(BitPlanes()), BitPlanes.worth)])
def test_filters_say_whether_their_channels_are_the_digits_of_one_number(image_filter, worth):
    assert worth_of(image_filter) == worth and worth_of(len) is None


def test_a_difference_of_gaussians_is_that_of_its_equation():
    image = images_of((1, 20, 24), 0)
    one, other = (gaussian_filter(image[0] / (255 * 0.5), sigma, mode="constant", truncate=4) for sigma in (1.0, 2.0))
    on, off = DifferenceOfGaussians()(image)[0]
    assert np.allclose(on, np.maximum(one - other, 0), atol=1e-3)
    assert np.allclose(off, np.maximum(other - one, 0), atol=1e-3)


def test_an_upright_image_is_that_of_its_equation():
    row, column = np.mgrid[:21, :21]
    image = np.where((abs(column - row // 2 - 5) < 2) & (row > 3) & (row < 17), 200, 0).astype(np.uint8)
    share = image / image.sum()
    from_middle, aside = (axis - (share * axis).sum() for axis in (row, column))
    slant = (share * from_middle * aside).sum() / (share * from_middle ** 2).sum()
    moved = map_coordinates(image.astype(float), [row, column + slant * from_middle], order=1)
    assert slant > 0.4 and abs(Deslanted(Intensity()).upright(image[None])[0] - moved).max() <= 2


def test_a_deformed_copy_is_that_of_its_equation():
    shape, deformation = (18, 20), Deformation(copies=1)
    image, draws = images_of((1, *shape), 1), np.random.default_rng(3).uniform(-1, 1, 6)
    a, b, u, v = np.deg2rad(10.0) * draws[0], 0.15 * draws[1], *(0.1 * draws[2:4])
    matrix = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ [[1, 0], [b, 1]] @ np.diag(np.exp([u, v]))
    middle = (np.array(shape)[:, None, None] - 1) / 2
    place = middle + np.tensordot(matrix, np.mgrid[:18, :20] - middle, 1) + 1.5 * draws[4:, None, None]
    expected = map_coordinates(np.pad(image[0].astype(float), 1), place + 1, order=1)
    inside = (place > 0).all(axis=0) & (place < 17).all(axis=0)
    found = deformation(image, np.random.default_rng(3))[0]
    assert inside.sum() > 100 and abs(found - expected)[inside].max() <= 2
