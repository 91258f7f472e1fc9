"""Which tests are nearest to a line: those that execute it, measured once, test by test, by ``mutants.seen``."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import coverage

from mutants.followed import Since, commit_of
from mutants.run import collected

# Test files that run kernels compiled by numba, also where the extension is built.
KERNELS = {"kernels": "backends/local/test_reference_equals_kernels.py",
           "general_kernels": "backends/local/test_reference_equals_kernels.py",
           "numba_kernels": "backends/local/test_native.py", "poisson_kernels": "backends/local/test_poisson.py",
           "svm_kernels": "experiment/test_svm.py", "bpstdp_kernels": "training/test_bpstdp.py",
           "surrogate_kernels": "training/test_surrogate.py"}
NEARER = 5          # times that a test may take longer if its file is named after the module


class Seen:
    """What every test has executed, in lines of today's sources.

    Parameters
    ----------
    directory : Path
        Files of ``mutants.seen``, a few for each test file.
    root : Path
        The tree whose lines and tests they are.
    """

    def __init__(self, directory, root):
        self.seconds, self._lines, changed = {}, defaultdict(lambda: defaultdict(set)), set()
        since, moved = cache(lambda commit: Since(root, commit)), cache(lambda commit, file: since(commit).lines(file))
        for path in sorted(Path(directory).glob("*.json")):
            own, commit = path.stem.replace("+", "/"), commit_of(path)      # tests of pytest plugins run others
            if (Path(root) / own).exists():
                self.seconds |= {k: v for k, v in json.loads(path.read_text()).items() if k.startswith(own)}
                self._add(coverage.CoverageData(path.with_suffix(".coverage")), lambda file, at=commit: moved(at, file))
                if own in since(commit).changed or own.count("/") == 1:     # which have a test for each record
                    changed.add(own)
        there = collected(root, sorted(changed))
        self.seconds = {k: v for k, v in self.seconds.items() if k.split("::")[0] not in changed or k in there}
        self._by_file = defaultdict(list)
        for test in self.seconds:
            self._by_file[test.split("::")[0]].append(test)

    def _add(self, data, moved):
        data.read()
        for path in data.measured_files():
            file = path[path.rindex("/spikingconvnet/") + 1:]
            now = moved(file)
            for line, contexts in data.contexts_by_lineno(path).items():
                for at in [line] if now is None else now.get(line, ()):
                    self._lines[file][at].update(contexts)

    def tests(self, file, lines, source_lines):
        """Tests that execute one of these lines of functions of a file: set of ids.

        A line that a fixture executes counts for every test of the file that the fixture was set up for.
        """
        found = set()
        for line in (line for line in self._lines[file] if line in lines):
            if not source_lines.in_function(line) and "/recipes/" not in file:      # which are run and not imported
                continue
            for phase, _, test in (context.partition("|") for context in self._lines[file][line]):
                found.update([test] if phase == "call" else self._by_file[test.split("::")[0]])
        return found & set(self.seconds)

    def nearest(self, fault, source_lines, budget):
        """Tests for a fault, the nearest first, until their seconds are used up: list of ids.

        First those that name the module in their id, then quick ones before slow ones, where a file that is named
        after the module takes a part of its time. For what no test
        was seen to execute those of KERNELS, or (tables of constants) of the folder named after its own or around it.
        """
        statement = source_lines.statement(fault.line)
        spans = [statement, *source_lines.around(fault.line)]
        candidates = next(filter(None, (self.tests(fault.file, span, source_lines) for span in spans)), None)
        path = Path(fault.file)
        candidates = candidates or self._of(path)
        stem, chosen, total = path.stem.removesuffix("_kernels"), [], 0.0
        records = f"[{'.'.join(path.with_suffix('').parts[1:])}."       # stands in the ids of tests of all records
        if not source_lines.in_function(fault.line):
            candidates |= {test for test in self.seconds if records in test or f"test_{stem}.py::" in test}
        for test in sorted(candidates, key=lambda test: (
                records not in test, self.seconds[test] / (NEARER if stem in test.split("::")[0] else 1), test)):
            total += self.seconds[test] + 0.01
            if total > budget and chosen:
                break
            chosen.append(test)
        return chosen

    def _of(self, path):
        if path.stem in KERNELS:
            return set(self._by_file[f"tests/{KERNELS[path.stem]}"])
        folders = [Path("tests", folder) for folder in path.parent.relative_to("spikingconvnet").parents]
        folders.insert(0, Path("tests", path.parent.relative_to("spikingconvnet")))
        return next(filter(None, ({test for test in self.seconds if Path(test.split("::")[0]).parent == folder}
                                  for folder in folders)), set())
