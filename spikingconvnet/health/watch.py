"""Watching the simulations of one step of an experiment: what they were worth, told, kept and acted on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spikingconvnet.backends.base import Simulation
from spikingconvnet.backends.spinnaker.provenance import Provenance
from spikingconvnet.errors import BackendError, HealthError, IncompleteRecording
from spikingconvnet.health.rules import INVALID, NOTE
from spikingconvnet.health.verdict import Health, judge, merge

logger = logging.getLogger(__name__)


class Watch:
    """Judges what a machine says about its runs; says nothing where there is no machine.

    Parameters
    ----------
    name : str
        Of the step: ``layer 1, training``.
    force : bool
        Whether results of invalid runs may be stored.
    """

    def __init__(self, name: str, force: bool = False) -> None:
        self.name, self.force = name, force
        self._healths: list[Health] = []

    @contextmanager
    def open(self, simulation: Simulation) -> Iterator[Simulation]:
        """Use a simulation, and judge its runs at the end."""
        with self.failures(), simulation:
            yield simulation
            self.see(simulation.provenance)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Tell what a machine has said about a run that fails inside, if anything; the error goes on.

        Raises
        ------
        HealthError
            The run has come to its end, but not all of it was recorded; `force` cannot help that.
        """
        try:
            yield
        except IncompleteRecording as error:
            self._tell(judge(error.provenance))
            raise HealthError(f"{self.name}: the run is {INVALID}, so nothing of it is stored; {error}") from error
        except BackendError as error:
            found = error.provenance
            if found is not None and (found.readings or found.messages or found.states):    # more than the error says
                self._tell(judge(found))
            raise

    def see(self, provenance: Provenance | None) -> None:
        """Judge the runs of a simulation: provenance.Provenance, or None without a machine."""
        if provenance is not None:
            self._healths.append(judge(provenance))

    def settle(self) -> dict[str, Any]:
        """Tell the verdict on all that was seen: a dict to be stored with the results, empty without a machine.

        Raises
        ------
        HealthError
            The runs are invalid, and that is not forced.
        """
        if not self._healths:
            return {}
        health = merge(self._healths)
        self._tell(health)
        if health.verdict == INVALID and not self.force:
            raise HealthError(f"{self.name}: the run is {INVALID}, so nothing of it is stored; {health.findings[0]};"
                              " --force stores it all the same")
        return health.as_dict()

    def _tell(self, health: Health) -> None:
        logger.info("%s on the board: %s", self.name, health)
        for finding in health.findings:
            logger.log(logging.INFO if finding.severity == NOTE else logging.WARNING, "  %s", finding)
