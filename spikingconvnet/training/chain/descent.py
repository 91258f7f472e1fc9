"""How weights follow a gradient: the settings that rules with backpropagation share. No torch."""

from dataclasses import dataclass

from spikingconvnet.gates.fields import above, check_fields, least, most, real, whole

HZ = 1e-3               # spikes a step of 1 ms


@dataclass(frozen=True)
class Descent:
    """Adam on random batches, with one cycle of learning rates; values that cannot be used are a SettingsError.

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

    def __post_init__(self) -> None:
        check_fields(self, epochs=whole(0, 10_000), batch=whole(1, 1_000_000), shift=whole(0, 64),
                     learning_rate=real(above(0), least(1e-12), most(100)))
