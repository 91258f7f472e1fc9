"""A small part of ``benchmarks/attack.py parameters``: altered files, in processes of their own."""

import numpy as np
import pytest

CASES = 24


@pytest.fixture(scope="module")
def unaltered(tmp_path_factory):
    return tmp_path_factory.mktemp("context")


def test_a_parameters_file_with_one_node_changed_ends_in_a_sentence_or_well(benchmark_named, tmp_path, unaltered):
    attack = benchmark_named("attacks.parameters")
    from spikingconvnet.errors import SettingsError
    from spikingconvnet.experiment import settings

    rng, refused = np.random.default_rng(5), 0
    for number in range(8 * CASES):
        path = tmp_path / "parameters.py"
        what, changed = attack.mutated(attack._source(number % len(attack.FILES), unaltered), rng)
        path.write_bytes(changed.encode(errors="surrogatepass"))
        try:
            assert settings.load(path).slot
        except SettingsError as error:
            refused += 1
            assert "\n" not in str(error), what
    assert refused > 2 * CASES


def test_its_judge_tells_nonsense_from_results(benchmark_named):
    attack, harness = (benchmark_named(f"attacks.{name}") for name in ("parameters", "harness"))

    def judged(kind, code, stdout="", stderr=""):
        return attack.judge(harness.Outcome(kind, code, stdout, stderr))

    assert judged("done", 0, '{"accuracy": 0.5, "n": [1.0]}') is None
    assert judged("done", 0, '{"accuracy": 1.5}') and judged("done", 0, '{"accuracy": 0.5, "n": [NaN]}')
    assert judged("done", 0, '{"accuracy": 0.5}', "x.py:1: RuntimeWarning: overflow")
    assert judged("refused", 2, "", "error: no") is None and judged("refused", 1, "", "error: no")
    assert judged("refused", 2, "", "nothing")
