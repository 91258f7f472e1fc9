"""Images from whatever people keep them in; each is right, or ends in a true sentence."""

import numpy as np
import pytest
from PIL import Image

from spikingconvnet.data import datasets
from spikingconvnet.data.sources import read_images
from spikingconvnet.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (6, 8, 9), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 9, 3), np.uint8)


def pictures(folder, images, kind="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.{kind}")
    return folder


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_images_without_labels_are_those_of_the_file(tmp_path, images):
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", x_test=images, y_test=np.arange(6))
    np.savez(tmp_path / "c.npz", only=images)
    folder = pictures(tmp_path / "d", images)
    for paths in (tmp_path / "a.npy", [str(tmp_path / "b.npz")], tmp_path / "c.npz", folder, sorted(folder.iterdir())):
        found = read_images(paths)
        assert found.dtype == np.uint8 and np.array_equal(found, images)
    assert np.array_equal(read_images([folder, tmp_path / "a.npy"]), np.concatenate([images, images]))


def test_idx_files_tables_and_single_images_are_read(tmp_path):
    datasets.save(tmp_path, "train", GREY, np.arange(6, dtype=np.uint8))
    assert np.array_equal(read_images(tmp_path / "train-images-idx3-ubyte"), GREY)
    square = GREY[:, :, :8]
    np.savetxt(tmp_path / "t.csv", np.column_stack([np.arange(6), square.reshape(6, -1)]), "%d", ",",
               header="label," + ",".join(f"p{i}" for i in range(64)), comments="")
    assert np.array_equal(read_images(tmp_path / "t.csv"), square)
    np.save(tmp_path / "one.npy", GREY[0])
    np.save(tmp_path / "coloured.npy", COLOUR[0])
    assert np.array_equal(read_images(tmp_path / "one.npy"), GREY[:1])
    assert np.array_equal(read_images(tmp_path / "coloured.npy"), COLOUR[:1])


def test_numbers_from_0_to_1_and_16_bits_become_bytes(tmp_path, caplog):
    caplog.set_level("INFO")
    np.save(tmp_path / "f.npy", GREY / 255)
    np.save(tmp_path / "u.npy", GREY.astype(np.uint16) * 16)
    assert np.array_equal(read_images(tmp_path / "f.npy"), GREY) and "taken for black" in caplog.text
    assert np.array_equal(read_images(tmp_path / "u.npy", white=255 * 16), GREY)


@pytest.mark.parametrize("make, text", [
    (lambda folder: np.save(folder / "a.npy", np.array([GREY, "x"], object)), "holds Python objects"),
    (lambda folder: np.save(folder / "a.npy", GREY[:0]), "no image is in it"),
    (lambda folder: np.save(folder / "a.npy", np.where(GREY == GREY[0, 0, 0], np.nan, GREY)), "are nan or infinite"),
    (lambda folder: np.save(folder / "a.npy", np.full((3, 4, 4), 0.5)), "nothing to see"),
    (lambda folder: np.save(folder / "a.npy", np.zeros((2, 3, 4, 5, 6))), "images have the axes"),
    (lambda folder: np.save(folder / "a.npy", np.full((3, 4, 4), "x")), "images are numbers"),
    (lambda folder: (folder / "a.npy").write_bytes(b"\x93NUMPY nothing"), "cannot be read as NumPy's"),
    (lambda folder: (folder / "a.npz").write_bytes(b"PK nothing"), "cannot be read as NumPy's"),
    (lambda folder: np.savez(folder / "a.npz", one=GREY, two=GREY), "holds one, two; name the array"),
    (lambda folder: (folder / "a.png").write_bytes(b"nothing"), "no picture that pillow knows"),
    (lambda folder: (folder / "a.csv").write_text("1,2,3\n4,5\n"), "every row holds the same number"),
    (lambda folder: (folder / "a.csv").write_text("x,y,z\n"), "no row is in it"),
    (lambda folder: (folder / "a.txt").write_text("nothing at all, or else"), "not an IDX file of images"),
    (lambda folder: (folder / "empty").mkdir(), "no picture is in this folder"),
    (lambda folder: None, "no file is named")])
def test_what_cannot_be_read_is_told(tmp_path, make, text):
    make(tmp_path)
    with pytest.raises(DataError, match=text):
        read_images(sorted(tmp_path.iterdir()))


def test_pictures_of_mixed_sizes_are_named_or_scaled(tmp_path):
    pictures(tmp_path, [GREY[0], GREY[1, :7]])
    with pytest.raises(DataError, match=r"001.png: pixels 7x9, but 8x9 in .*000.png.*SIZE = "):
        read_images(tmp_path)
    assert read_images(tmp_path, size=(5, 5)).shape == (2, 5, 5)
    with pytest.raises(DataError, match="no such file"):
        read_images(tmp_path / "nowhere.png")
