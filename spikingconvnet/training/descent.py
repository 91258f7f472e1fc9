"""How weights follow a gradient: the settings that rules with backpropagation share. No torch."""

from dataclasses import dataclass

from spikingconvnet.errors import require


@dataclass(frozen=True)
class Descent:
    """Adam on random batches, with one cycle of learning rates.

    Attributes
    ----------
    epochs : int
        Passes through the training images.
    batch : int
        Images a step.
    learning_rate : float
        Highest one of the cycle: it rises over the first third of the steps and then falls to nothing (Smith and Topin
        2017, arXiv 1708.07120).
    shift : int
        Pixels by which an image is moved at random along both axes, every time that it is shown.
    """

    epochs: int = 12
    batch: int = 128
    learning_rate: float = 2e-3
    shift: int = 2

    def __post_init__(self):
        for name, least in (("epochs", 0), ("batch", 1), ("shift", 0)):
            value = getattr(self, name)
            require(isinstance(value, int) and not isinstance(value, bool) and value >= least, "Descent", name, value,
                    f"a whole number, at least {least}")
        require(self.learning_rate > 0, "Descent", "learning_rate", self.learning_rate, "above 0")
