"""Maps that inhibit each other at each place, in the fast stage of convolutions: the integers of the general one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_branches import CELLS, assert_alike, by_lists, network_of, recorded, stage_of

from spikingconvnet.backends.local import native, numba_kernels
from spikingconvnet.backends.local.conv_stage import ConvStage
from spikingconvnet.backends.local.general_stage import GeneralStage
from spikingconvnet.model.build import competition
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Projection

WIDTHS = (64, 32, 16)       # bytes of the widest vectors


def competing(network, lateral):
    """The network with competition in its population `out`: projections of any kind, to it from itself."""
    more = Projection("lateral", "out", "out", lateral)
    return Network(network.populations, (*network.projections, more), reset_every=network.reset_every)


@st.composite
def cases(draw):
    """One or two convolutions onto maps of any number up to 48, which compete weakly or until slots are full."""
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32)))
    maps, (rows, columns) = draw(st.sampled_from([2, 5, 16, 17, 32, 40, 48])), draw(st.tuples(*[st.integers(1, 4)] * 2))
    connections = []
    for delay in draw(st.sampled_from([(1,), (1, 3)])):
        weights = rng.normal(0.2, 0.6, (maps, 2, 2, 2))
        connections.append(ConvConnections(weights, (2, rows + 1, columns + 1), delay=delay))
    network = network_of([one.pre_shape for one in connections], connections, draw(st.sampled_from(CELLS)), 12, 3,
                         draw(st.booleans()), rng)
    return competing(network, competition((maps, rows, columns), draw(st.sampled_from([0.02, 0.5, 30.0]))))


@settings(max_examples=60, deadline=None)
@given(cases(), st.lists(st.integers(1, 12), min_size=1, max_size=4), st.sampled_from(WIDTHS))
def test_competition_in_the_fast_stage_gives_the_integers_of_lists(network, parts, widest):
    parts = [*parts, 36 - sum(parts)] if sum(parts) < 36 else [36]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "WIDEST", widest)
        assert_alike(recorded(network, parts), lists := by_lists(network, parts))
        assert recorded(network, parts, ()).spikes["out"] == lists.spikes["out"]


@pytest.mark.parametrize("seed", range(6))
def test_competition_in_numba_gives_the_integers_of_lists(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    connections = ConvConnections(rng.normal(0.2, 0.6, (20, 2, 2, 2)), (2, 4, 5))
    network = competing(network_of([connections.pre_shape], [connections], CELLS[seed % 2], 12, 3, seed > 3, rng),
                        competition(connections.post_shape, (0.3, 40.0)[seed % 2]))
    lists = by_lists(network, (7, 29))
    monkeypatch.setattr(native, "or_else", lambda *_: numba_kernels)
    assert_alike(recorded(network, (7, 29)), lists)
    assert lists.spikes["out"].n_events > 20


def test_what_competes_in_the_fast_stage_and_what_does_not():
    main = ConvConnections(np.ones((4, 1, 3, 3)), (1, 6, 6))
    late = ConvConnections(np.ones((4, 1, 3, 3)), (1, 6, 6), delay=2)
    many = ConvConnections(np.ones((49, 1, 3, 3)), (1, 6, 6))
    alike, rng = competition(main.post_shape, 0.5), np.random.default_rng(0)
    unlike = alike.kernels.copy()
    unlike[0, 1] *= 2
    themselves = alike.kernels - 0.5 * np.eye(4)[:, :, None, None]
    for connections, lateral, stage in [
            (main, alike, ConvStage), (late, alike, GeneralStage),
            (many, competition(many.post_shape, 0.5), GeneralStage),
            (main, ConvConnections(unlike, main.post_shape), GeneralStage),
            (main, ConvConnections(themselves, main.post_shape), GeneralStage),
            (main, ConvConnections(-alike.kernels, main.post_shape), GeneralStage),
            (main, ConvConnections(alike.kernels, main.post_shape, delay=2), GeneralStage)]:
        network = network_of([connections.pre_shape], [connections], CELLS[0], 5, 1, False, rng)
        assert stage_of(competing(network, lateral)) is stage
