"""Models that are graphs: padding, groups, layers that see others than the one before them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet import AvgPool2D, Classifier, Conv2D, Dense, IFCurrDelta, Sequential, Shortcut, SpikeCount
from spikingconvnet.errors import NetworkError, SettingsError
from spikingconvnet.model import build
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.units import responses

CELL = IFCurrDelta()


def conv(filters, size, **more):
    return Conv2D(filters, size, neuron=CELL, **more)


def dense(units, **more):
    return Dense(units, neuron=CELL, **more)


def residual():
    return Sequential((2, 8, 8), conv(4, 3, padding=1), AvgPool2D(2), conv(6, 3, padding=1, groups=2),
                      conv(6, 3, padding=1, shortcuts=(Shortcut(1, pool=2), Shortcut(0, 2, strides=2))),
                      dense(3, after=2), dense(2, shortcuts=[Shortcut(3, 4)]), SpikeCount())


def test_a_graph_is_written_as_a_chain_with_what_a_layer_sees_besides():
    model = residual()
    assert model.shapes == [(2, 8, 8), (4, 8, 8), (4, 4, 4), (6, 4, 4), (6, 4, 4), (3, 1, 1), (2, 1, 1), (2, 1, 1)]
    stages = model.stages
    assert [stage.source for stage in stages] == [0, 1, 2, 2, 4]
    assert [[branch.source for branch in stage.branches] for stage in stages] == [[0], [1], [2, 1, 0], [2], [4, 3]]
    assert [stage.delays for stage in stages] == [(1,), (1,), (1, 2, 3), (1,), (1, 1)]
    assert stages[1].main.kernel_shape == (6, 2, 3, 3) and stages[2].shortcuts[0].kernel_shape == (6, 4, 1, 1)
    assert stages[3].main.kernel_shape == (3, 6, 4, 4)
    text = model.summary()
    assert "padding 1x1, 2 groups" in text and "+ layer 1 1x1, + input 2x2" in text and "after layer 2" in text


def test_what_is_new_leaves_texts_of_before_as_they_were():
    """Digests of run directories are made of them."""
    assert repr(Conv2D(2, 3)).endswith("centred=True, training=None, lateral=0.0)")
    assert repr(AvgPool2D(2)) == "AvgPool2D(pool_size=(2, 2))"
    assert repr(Dense(2)).endswith("lateral=0.0)")
    assert "padding=(1, 1), groups=2)" in repr(conv(2, 3, padding=1, groups=2))
    plain, padded = (Sequential((1, 5, 5), layer, Classifier()).stages[0] for layer in (
        Conv2D(2, 3), Conv2D(2, 3, padding=1)))
    assert "delays" not in repr(plain) and repr(plain) != repr(padded)


@pytest.mark.parametrize("make, text", [
    (lambda: conv(4, 3, groups=3), "Conv2D.filters: must be a multiple of groups .3., got 4"),
    (lambda: conv(4, 3, groups=2, per_map=True), "Conv2D.groups: must be 1 with per_map"),
    (lambda: conv(4, 3, padding=-1), "Conv2D.padding: must be at least 0"),
    (lambda: conv(4, 3, padding="same"), "Conv2D.padding: must be a whole number or .rows, columns."),
    (lambda: conv(4, 3, shortcuts=(1,)), "Conv2D.shortcuts: must be a tuple of Shortcut"),
    (lambda: conv(4, 3, after=-1), "Conv2D.after: must be the number of an earlier layer"),
    (lambda: Shortcut(-1), "Shortcut.layer: must be the number of an earlier layer, 0 for the input"),
    (lambda: Sequential((3, 5, 5), conv(4, 3, groups=2)), "layer 1 .* Conv2D.groups: must be a divisor of the 3"),
    (lambda: Sequential((1, 5, 5), conv(4, 3), conv(4, 3, after=2)), "Conv2D.after: must be .* at most 1, got 2"),
    (lambda: Sequential((1, 5, 5), conv(4, 3), conv(4, 3, padding=1, shortcuts=(Shortcut(2),))),
     "Shortcut.layer: must be the number of an earlier layer, at most 1, got 2"),
    (lambda: Sequential((1, 5, 5), conv(4, 3), conv(4, 3, shortcuts=(Shortcut(1),))),
     r"Shortcut.kernel_size.*must be so that it makes maps of \(4, 1, 1\), not \(4, 3, 3\)"),
    (lambda: Sequential((1, 5, 5), conv(4, 3), AvgPool2D(2), conv(4, 1, after=0)), "Conv2D.after: stands behind an Av"),
    (lambda: Sequential((1, 5, 5), conv(4, 3), dense(2, after=0), SpikeCount()), "layer 1: no layer sees its spikes"),
    (lambda: Sequential((1, 5, 5), Conv2D(4, 3), Conv2D(4, 3, padding=1, shortcuts=(Shortcut(1),)), Classifier()),
     "layer 2: Conv2D.shortcuts: is for models that end with SpikeCount or Membrane"),
    (lambda: Sequential((2, 5, 5), Conv2D(4, 3, groups=2), Classifier()), "layer 1: Conv2D.groups: is for models"),
])
def test_graphs_that_cannot_be_are_refused_by_name(make, text):
    with pytest.raises(SettingsError, match=text):
        make()


def layers_of(model, rng):
    return [TrainedLayer(rng.normal(0.0, 0.3, stage.main.kernel_shape), rng.uniform(0.5, 1.5, stage.out_shape[0]),
                         rng.normal(0.0, 0.1, stage.out_shape),
                         shortcuts=tuple(rng.normal(0.0, 0.3, one.kernel_shape) for one in stage.shortcuts))
            for stage in model.stages]


def test_a_network_has_a_projection_for_every_branch_and_delays_that_match():
    model, rng = residual(), np.random.default_rng(0)
    layers = layers_of(model, rng)
    network = build.inference_network(model.stages, layers, Spikes.empty((2, 8, 8), 1, 5))
    found = {p.label: (p.pre, p.post, p.connections.max_delay) for p in network.projections}
    assert found["layer3"] == ("layer2", "layer3", 1) and found["layer3 shortcut1"] == ("layer1", "layer3", 2)
    assert found["layer3 shortcut2"] == ("input", "layer3", 3) and found["layer4"] == ("layer2", "layer4", 1)
    offsets = network.population("layer3").parameter("i_offset")
    assert np.array_equal(offsets, layers[2].i_offset.ravel())


def test_a_single_layer_of_a_graph_needs_the_spikes_of_all_that_it_sees():
    model, rng = residual(), np.random.default_rng(0)
    stage, layer = model.stages[2], layers_of(model, rng)[2]
    given = {branch.source: Spikes.empty(branch.source_shape, 1, 5) for branch in stage.branches}
    network = build.inference_network([stage], [layer], given)
    assert [p.label for p in network.populations] == ["input", "layer1", "layer2", "layer3"]
    with pytest.raises(NetworkError, match=r"spikes: must be those of layers \[0, 1, 2\]"):
        build.inference_network([stage], [layer], {2: given[2]})


def test_arrays_of_a_layer_with_shortcuts_come_back():
    layer = layers_of(residual(), np.random.default_rng(1))[2]
    same = TrainedLayer.from_arrays(layer.arrays())
    assert np.array_equal(same.i_offset, layer.i_offset) and same.i_offset.shape == (6, 4, 4)
    assert len(same.shortcuts) == 2 and all(map(np.array_equal, same.shortcuts, layer.shortcuts))


@settings(max_examples=100)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.booleans(), st.integers(0, 99))
def test_kernels_of_groups_are_those_of_each_part_alone(groups, per_group, times, padding, per_map, seed):
    rng, channels = np.random.default_rng(seed), groups * per_group
    filters = times if per_map else groups * times
    branch = Branch(0, (channels, 4, 5), (1, 1), (channels, 4, 5), filters, (2, 3), (1, 2), (padding, 0),
                    channels if per_map else groups, per_map)
    kernels, values = rng.normal(size=branch.kernel_shape), rng.normal(size=(2, channels, 4, 5))
    found = responses(branch, kernels, values)
    if per_map:
        parts = [(slice(c, c + 1), kernels, slice(c, None, channels)) for c in range(channels)]
    else:
        parts = [(slice(g * per_group, (g + 1) * per_group), kernels[g * times:(g + 1) * times],
                  slice(g * times, (g + 1) * times)) for g in range(groups)]
    for seen, part, maps in parts:
        one = Branch(0, (values[:, seen].shape[1], 4, 5), (1, 1), (values[:, seen].shape[1], 4, 5), len(part), (2, 3),
                     (1, 2), (padding, 0))
        assert np.allclose(found[:, maps], responses(one, part, values[:, seen]))


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(st.integers(0, 2), st.integers(0, 2)),
       st.tuples(st.integers(1, 2), st.integers(1, 2)), st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_what_a_branch_sums_up_is_what_its_connections_bring(size, padding, strides, pool):
    rng = np.random.default_rng(0)
    branch = Branch(0, (2, 7, 8), pool, (2, 7 // pool[0], 8 // pool[1]), 3, size, strides, padding)
    kernels, values = rng.normal(size=branch.kernel_shape), rng.random((1, 2, 7, 8))
    listed = build.connections_of(branch, kernels).to_list()
    wanted = np.bincount(listed.post, listed.weight * values.ravel()[listed.pre], np.prod(branch.out_shape))
    assert np.allclose(responses(branch, kernels, values).ravel(), wanted)
