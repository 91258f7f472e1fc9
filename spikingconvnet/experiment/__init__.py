"""An experiment: what is loaded, trained, read out and kept, from parameters to figures."""

from typing import TYPE_CHECKING

from spikingconvnet import room

if TYPE_CHECKING:
    from spikingconvnet.experiment import settings as _settings
    from spikingconvnet.experiment.estimator import SpikingConvClassifier as SpikingConvClassifier
    from spikingconvnet.experiment.experiment import Experiment as Experiment
    from spikingconvnet.experiment.settings import Settings as Settings

    load_settings = _settings.load
    save_settings = _settings.save
else:
    __all__, __getattr__, __dir__ = room(__name__)
