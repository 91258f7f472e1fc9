"""The registry of rules: every function is there, and a missing library is named with the command that installs it."""

import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest

from spikingconvnet import settings
from spikingconvnet.errors import BackendError
from spikingconvnet.training import RULES, Rule

RECIPES = sorted((Path(inspect.getfile(settings)).parent / "recipes").glob("*.py"))
WHOLE = [rule for rule in RULES.values() if rule.whole]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_its_function(rule):
    if rule.needs and find_spec(rule.needs) is None:
        pytest.skip(f"{rule.needs} is not installed")
    first = list(inspect.signature(rule.load()).parameters)[:5]
    assert first == (["model", "images", "labels", "rng", "rule"] if rule.whole else
                     ["stage", "spikes", "rng", "open_network", "progress"])


def test_every_rule_for_chains_has_a_recipe_with_its_settings():
    assert {path.stem for path in RECIPES} >= {rule.name for rule in WHOLE} and WHOLE
    for rule in WHOLE:
        loaded = settings.load(next(path for path in RECIPES if path.stem == rule.name))
        assert loaded.rule.name == rule.name and loaded.model.runs_as_one and hasattr(loaded.rule, "neuron")


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(BackendError, match=r"--rule x: .*'no_such_one'.*pip install 'spikingconvnet\[no_such_one\]'"):
        Rule("x", "spikingconvnet.training.ridge", needs="no_such_one").load()
