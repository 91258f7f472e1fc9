"""A small part of the attacks; ``python benchmarks/attack.py NAME --cases 10000`` runs them at length."""

import pytest

CASES = {"command-line": 40, "secrets": 30}


@pytest.mark.parametrize("name", CASES)
def test_nothing_fails_in_the_wrong_way(benchmark_named, name):
    harness, attacks = benchmark_named("attacks.harness"), benchmark_named("attacks")
    wrong = []

    def told(number, case, outcome):
        if outcome.kind in harness.BAD:
            wrong.append(harness.report(number, case, outcome))

    counts = harness.run(attacks.attack(name), CASES[name], told=told)
    assert not wrong, "\n".join(wrong)
    assert sum(counts.values()) == CASES[name]
