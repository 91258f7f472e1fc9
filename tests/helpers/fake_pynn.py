"""A module of PyNN that computes nothing: it notes what it is told and records spikes and membranes of formulas.

Not a test itself.
"""

from types import SimpleNamespace

import numpy as np


class FakePart:
    """A population, or some of its neurons."""

    def __init__(self, sim, size, chosen, label):
        self.sim, self.size, self.chosen, self.label, self.names = sim, size, chosen, label, {}
        self._vertex = SimpleNamespace()

    def __getitem__(self, chosen):
        view = FakePart(self.sim, self.size, list(chosen), self.label)
        view.names = self.names
        return view

    def initialize(self, **values):
        self.sim.log.append(["initialize", self.label, values])

    def set(self, **values):
        self.sim.log.append(["set", self.label, values])

    def record(self, names):
        self.sim.log.append(["record", self.label, self.chosen, names])
        self.names |= dict.fromkeys([names] if isinstance(names, str) else names, self.chosen)

    def set_max_atoms_per_core(self, most):
        self.sim.log.append(["set_max_atoms_per_core", self.label, most])

    def spinnaker_get_data(self, name, as_matrix=False, chosen=()):
        segment = self.get_data().segments[0]
        if as_matrix:
            assert self.names[name] == list(chosen)
            return next(signal.magnitude for signal in segment.analogsignals if signal.name == name)
        return np.array([(i, time) for i, train in enumerate(segment.spiketrains) for time in train.magnitude])

    def get_data(self):
        n = round(self.sim.now / self.sim.timestep) + 1
        trains = [_Train(self.sim.timestep * np.arange(i % 5, n, 4 + i % 3)) for i in range(self.size)]
        signals = [
            SimpleNamespace(name=name, magnitude=-50.0 + np.add.outer(np.arange(n) % 13, np.array(chosen) / 8) - k)
            for k, (name, chosen) in enumerate(self.names.items())
            if name != "spikes"
        ]
        return SimpleNamespace(segments=[SimpleNamespace(spiketrains=trains, analogsignals=signals)])


class _Train:
    def __init__(self, magnitude):
        self.magnitude = magnitude

    def __len__(self):
        return len(self.magnitude)


class FakeProjection:
    """Its weights are those of the list that it was given, or 1 for each pair that it generates."""

    def __init__(self, pre, post, connector, rows):
        self.pre, self.post, self.rows = pre, post, rows
        if hasattr(connector, "connect"):
            connector.connect(self)

    def get(self, names, format):
        return self.rows


class FakeSim:
    """The module. Cells, synapses and connectors are what they were made with; those of sPyNNaker alone `extra`."""

    def __init__(self, extra=True):
        self.log, self.now, self.timestep, self.extra = [], 0.0, 1.0, extra

    def setup(self, **options):
        self.timestep = options["timestep"]
        self.log.append(["setup", options])

    def run(self, ms):
        self.now += ms
        self.log.append(["run", ms])

    def reset(self):
        self.now = 0.0
        self.log.append(["reset"])

    def end(self):
        self.log.append(["end"])

    def Population(self, size, cell, **options):
        self.log.append(["Population", size, vars(cell), options])
        return FakePart(self, size, list(range(size)), options["label"])

    def Projection(self, pre, post, connector, *synapse, **options):
        told = [
            {k: v for k, v in vars(one).items() if not callable(v)}
            for one in (connector, *synapse, *(value for key, value in options.items() if key == "synapse_type"))
        ]
        self.log.append(["Projection", pre.label, post.label, told, options.get("receptor_type")])
        given = getattr(connector, "given", [])
        rows = (
            [row[:3] for row in given[0]]
            if len(given)
            else [(i, j, 1.0) for i in range(pre.size) for j in range(post.size) if pre is not post or i != j]
        )
        return FakeProjection(pre, post, connector, rows)

    def connect(self, _sim, projection, pre, post, values):
        """As ``Dialect.connect``."""
        self.log.append(["connect", projection.pre.label, projection.post.label, pre, post, values])
        projection.rows = list(zip(pre, post, values["weight"]))

    def __getattr__(self, name):
        if name in ("extra_models", "Vogels2011Rule"):
            if not self.extra:
                raise AttributeError(name)
            if name == "extra_models":
                return self
        return lambda *given, **options: SimpleNamespace(
            kind=name,
            given=[*given],
            options={
                key: vars(value) if isinstance(value, SimpleNamespace) else value for key, value in options.items()
            },
        )
