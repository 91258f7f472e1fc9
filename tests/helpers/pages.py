"""Data and run directories for tests of the page of a run."""

import numpy as np

from spikingconvnet.cli import arguments, modes

HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "--!> \"'& {{DATA}}")


def squares(folder, colour=False):
    """A set of squares at a place for each of three classes, whose names mean something to HTML: its path."""
    images, rng = np.zeros((45, 12, 12), np.uint8), np.random.default_rng(0)
    for i, image in enumerate(images):
        at = 4 * (i % 3)
        image[at:at + 4, at:at + 4] = rng.integers(150, 255)
    images = np.repeat(images[..., None], 3, axis=3) if colour else images
    np.savez(folder / "set.npz", images=images, labels=np.array(HOSTILE)[np.arange(45) % 3])
    return str(folder / "set.npz")


def opened(run):
    """The experiment of a run directory."""
    options = arguments.parse(["--mode", "report", "--jobs", "1"])
    arguments.check(options)
    return modes._run_at(str(run), options)
