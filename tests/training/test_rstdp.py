"""R-STDP: what every outcome of a trial does to the weights, in the local engine's integers."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import Dense, Membrane, Sequential
from spikingconvnet.backends.local import simulator
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.iris import iris
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import crossvalidation, settings
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import rstdp
from spikingconvnet.training.chain.rstdp import RSTDP

ONCE = RSTDP(epochs=1, pulses=(2,), amount=0.1, eligibility=0.2, w_max=4.0)
STEPS = (0, 5, 10, 15)      # of every input that is active


def pattern(inputs, n_inputs=4):
    """One sample in which some inputs fire four times."""
    neuron, step = (part.ravel() for part in np.meshgrid(inputs, STEPS))
    return Spikes.from_events(0 * neuron, neuron, step, (n_inputs, 1, 1), 1, 16)


def membrane(weight):
    """Before the probe acts, of a unit with two active inputs of this weight, mV."""
    gain = 20.0 * -np.expm1(-1 / 20)
    return 2 * weight * gain * sum(np.exp(-(16 - step) / 20) for step in STEPS)


def learned(weights, label, rule=ONCE, inputs=(0, 2)):
    """Change of the weights (inputs, classes) by one sample, and the diagnostics."""
    initial = np.asarray(weights, float)
    after, diagnostics = rstdp.learn(pattern(list(inputs)), np.array([label]), initial, np.random.default_rng(0), rule,
                                     simulator.open)
    return after - initial, diagnostics


def weight_for(v):
    """The weight that lifts a membrane with two active inputs to about `v` before the probe; a board can hold it."""
    return np.rint(256 * v / membrane(1.0)) / 256


def test_who_answers_to_anothers_sample_loses_weight_of_the_inputs_that_fired():
    change, diagnostics = learned([[weight_for(9.0), weight_for(13.0)]] * 4, label=1)
    assert (change[[0, 2], 0] < -0.01).all() and not change[[1, 3]].any()
    assert not change[:, 1].any()                                   # its own unit answered
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([1.0], [0.0])


@pytest.mark.parametrize(("others", "own", "learn"), [(-3.0, 3.0, ""), (0.0, 3.0, "others"), (-3.0, 0.0, "own"),
                                                      (15.0, 15.0, "others"), (-9.0, -9.0, "own"), (-3.0, 15.0, "")])
def test_over_an_inhibition_only_errors_teach_also_of_units_beyond_the_threshold(others, own, learn):
    rule = replace(ONCE, inhibition=4.0, initial=(4.0, 4.0), w_max=8.0, target=0.0, margin=1.5, v_thresh=10.0)
    change, diagnostics = learned([[4.0 + weight_for(v) for v in (others, own)]] * 4, label=1, rule=rule)
    assert (change[[0, 2], 0] < -0.01).all() if learn == "others" else not change[:, 0].any()
    assert (change[[0, 2], 1] > 0.01).all() if learn == "own" else not change[:, 1].any()
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([float(learn == "others")], [float(learn == "own")])


@pytest.mark.parametrize(("change", "text"), [
    ({"slot": 99}, None), ({"slot": 98}, "slot: must be .* more than 98: .*got 98"), ({"slot": 99, "flush": 80}, None),
    ({"slot": 99, "flush": 81}, "slot"), ({"kick": 34}, "reward: must be .*second step of a kick .36., got 36")])
def test_over_an_inhibition_a_unit_is_free_before_it_is_made_refractory(change, text):
    asked = {"inhibition": 0.3, "reward": 36, "pulses": (1,), **change}
    if text is None:
        assert RSTDP(**asked).slot == change["slot"]
    else:
        with pytest.raises(SettingsError, match=f"RSTDP.{text}"):
            RSTDP(**asked)


def test_a_flush_spreads_over_steps_and_each_input_still_fires_once_in_it():
    rule = replace(ONCE, flush_steps=3)
    inputs = rstdp.trials(pattern([0, 1, 2, 3]), np.array([0]), 2, rule)[0]
    trial, neuron, step = inputs.events()
    late = step >= rule.flush
    fired = sorted(zip(trial[late], neuron[late], step[late] - rule.flush))
    assert fired == [(k, i, i % 3) for k in (0, 1) for i in range(4)]


def test_who_is_missing_gains_weight_of_the_inputs_that_fired():
    change, diagnostics = learned([[weight_for(7.0), weight_for(11.0)]] * 4, label=1)
    assert (change[[0, 2], 1] > 0.01).all() and not change[[1, 3]].any()
    assert not change[:, 0].any()                                   # the other one was silent
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([0.0], [1.0])


def test_right_answers_with_the_margin_change_nothing():
    change, diagnostics = learned([[weight_for(7.0), weight_for(13.0)]] * 4, label=1)
    assert not change.any()
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([0.0], [0.0])


def test_the_change_is_eligibility_times_dopamine():
    """Traces of four spikes at the unit's spike, two pulses, and the integral of both decays."""
    for weights, unit, spike in (((9.0, 13.0), 0, -ONCE.pattern_steps - 1), ((7.0, 11.0), 1, ONCE.kick + 1)):
        change, _ = learned([[weight_for(v) for v in weights]] * 4, label=1)
        trace = sum(np.exp(-(abs(spike) - step) / 20) for step in STEPS)
        wanted = np.sign(spike) * ONCE.eligibility * trace * 2 * ONCE.amount * rstdp.DECAY / 2
        assert change[0, unit] == pytest.approx(wanted, abs=0.005)      # five steps of a weight


def test_every_class_has_a_history_of_its_own():
    """The seed's ``S_history = [[]] * output_dim`` is one list: what one class fired, all have fired."""
    seed = [[]] * 3
    seed[0].append("spike")
    assert seed == [["spike"]] * 3
    change, _ = learned([[weight_for(9.0), weight_for(7.0), weight_for(13.0)]] * 4, label=2)
    assert change[0, 0] < -0.01 and not change[:, 1:].any()


def test_two_classes_are_shown_their_own_patterns():
    """The encoder's events and the trials of two samples do not mix."""
    shown = Spikes.concatenate([pattern([0]), pattern([3])])
    inputs, teacher, reward, punishment = rstdp.trials(shown, np.array([1, 0]), 2, ONCE)
    trial, neuron, step = inputs.events()
    assert {(int(t), int(n)) for t, n in zip(trial, neuron)} == {(0, 0), (1, 0), (2, 3), (3, 3)}
    assert sorted(step[trial == 0]) == [*STEPS, ONCE.flush]
    told = sorted(zip(*(part.tolist() for part in teacher.events())))
    assert told == [(0, 0, 16), (1, 3, 16), (1, 5, 24), (2, 1, 16), (3, 2, 16), (3, 4, 24)]
    assert sorted(zip(*(part.tolist() for part in reward.events()))) == [(1, 0, 36), (1, 0, 37), (3, 0, 36), (3, 0, 37)]
    assert sorted(set(punishment.events()[0].tolist())) == [0, 2]


def test_pulses_become_fewer_in_the_course_of_the_training():
    shown = Spikes.concatenate([pattern([0])] * 8)
    _, _, reward, punishment = rstdp.trials(shown, np.zeros(8, int), 2, RSTDP(pulses=(3, 1)))
    counts = reward.counts().ravel() + punishment.counts().ravel()
    assert counts.tolist() == [3] * 8 + [1] * 8


def test_a_network_learns_the_irises_of_a_fold():
    """One fold of five; the recipe itself."""
    flowers = iris()
    chosen = settings.load(RECIPES / "rstdp.py")
    fold = crossvalidation.stratified_folds(flowers.labels, 5, np.random.default_rng(3)) == 0
    train, test = (flowers.select(np.flatnonzero(part)) for part in (~fold, fold))
    units = crossvalidation.one_fold(train, train.labels.astype(int), test, chosen, np.random.default_rng(0), "local",
                                     {"jobs": 1})
    assert np.mean(units == test.labels) >= 0.9


@pytest.mark.parametrize("changes, text", [
    ({"margin": 10.0}, "RSTDP.margin: must be 0 or more, below 10"),
    ({"v_thresh": 11.0}, "RSTDP.v_thresh: must be above target and margin"),
    ({"pulses": (5,)}, "RSTDP.pulses: must be numbers of spikes from 1 to 4"),
    ({"punish": 31}, "RSTDP.punish: must be after the answer in step 17, its last pulse less than 16 steps later"),
    ({"reward": 32}, "RSTDP.reward: must be 16 steps or more behind the answer in step 17"),
    ({"reward": 39}, "RSTDP.reward: must be 16 steps or more"),
    ({"slot": 60}, "RSTDP.flush: must be after all rewards")])
def test_times_that_would_teach_something_else_are_refused(changes, text):
    with pytest.raises(SettingsError, match=text):
        RSTDP(**changes)


def test_the_last_pulse_of_a_reward_may_come_one_step_before_the_kick_s_spike_is_forgotten():
    latest = 36 + 1 + 15 - 2        # the kick, its spike, FORGETTING - 1, the two steps to the third pulse
    assert RSTDP(kick=36, pulses=(3,), reward=latest, flush=60, slot=90).reward == latest
    with pytest.raises(SettingsError, match="less than that behind the kick's spike in step 37"):
        RSTDP(kick=36, pulses=(3,), reward=latest + 1, flush=60, slot=90)


def test_over_an_inhibition_what_is_learned_has_signs():
    rule = replace(ONCE, inhibition=1.0)
    change, diagnostics = learned([[1.0 + weight_for(9.0), 1.0 + weight_for(11.0)]] * 4, label=1, rule=rule)
    assert (change[[0, 2], 0] < -0.01).all() and (change[[0, 2], 1] > 0.01).all() and not change[[1, 3]].any()
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([1.0], [1.0])
    change, diagnostics = learned([[1.0, 1.0]] * 4, label=1, rule=rule)         # nothing reaches the membranes
    assert not change[:, 0].any() and (change[[0, 2], 1] > 0.01).all()
    assert (diagnostics["wrong"], diagnostics["missing"]) == ([0.0], [1.0])


def test_the_layer_of_a_rule_over_an_inhibition_is_what_is_left_of_it():
    rule = replace(ONCE, inhibition=0.5, initial=(0.5, 0.5))
    model = Sequential((4, 1, 1), Dense(2, neuron=rule.neuron), Membrane())
    (layer,), _ = rule.train(model, np.zeros((1, 4, 1, 1)), np.array([1]), np.random.default_rng(0), encoder=None,
                             open_network=simulator.open, events=lambda split, places: pattern([0, 2]))
    kernels = layer.kernels.reshape(2, 4)
    assert not kernels[0].any() and not kernels[:, [1, 3]].any() and (kernels[1, [0, 2]] > 0.01).all()
    assert repr(rule).endswith("inhibition=0.5)") and "inhibition" not in repr(ONCE)
