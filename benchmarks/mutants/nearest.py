"""Which tests are nearest to a line: those that execute it, measured once, test by test, by ``mutants.seen``."""

import json
from collections import defaultdict
from pathlib import Path

import coverage

# Test files that run kernels compiled by numba, also where the extension is built.
KERNELS = {"kernels": "test_reference_equals_kernels", "general_kernels": "test_reference_equals_kernels",
           "numba_kernels": "test_native", "poisson_kernels": "test_poisson", "bpstdp_kernels": "test_bpstdp",
           "surrogate_kernels": "test_surrogate"}


class Seen:
    """What every test has executed.

    Parameters
    ----------
    directory : Path
        Files of ``mutants.seen``, one pair for each test file.
    """

    def __init__(self, directory):
        self.seconds, self._lines = {}, defaultdict(lambda: defaultdict(set))
        for path in sorted(Path(directory).glob("*.json")):
            self.seconds |= json.loads(path.read_text())
            self._add(coverage.CoverageData(path.with_suffix(".coverage")))
        self._by_file = defaultdict(list)
        for test in self.seconds:
            self._by_file[test.split("::")[0]].append(test)

    def _add(self, data):
        data.read()
        for file in data.measured_files():
            name = file[file.rindex("/spikingconvnet/") + 1:]
            for line, contexts in data.contexts_by_lineno(file).items():
                self._lines[name][line].update(contexts)

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

        First those that name the module in id or file, then the others; quick ones before slow ones. For what no test
        was seen to execute (kernels that numba compiles, tables of constants) those of the folder named after its own.
        """
        statement = source_lines.statement(fault.line)
        spans = [statement, *source_lines.around(fault.line)]
        candidates = next(filter(None, (self.tests(fault.file, span, source_lines) for span in spans)), None)
        path = Path(fault.file)
        candidates = candidates or self._of_folder(path.parent.relative_to("spikingconvnet"),
                                                   KERNELS.get(path.stem, ""))
        stem, chosen, total = path.stem.removesuffix("_kernels"), [], 0.0
        records = f"[{'.'.join(path.with_suffix('').parts[1:])}."       # stands in the ids of tests of all records
        if not source_lines.in_function(fault.line):
            candidates |= {test for test in self.seconds if records in test or f"test_{stem}.py::" in test}
        for test in sorted(candidates, key=lambda test: (records not in test, stem not in test.split("::")[0],
                                                         self.seconds[test], test)):
            total += self.seconds[test] + 0.01
            if total > budget and chosen:
                break
            chosen.append(test)
        return chosen

    def _of_folder(self, folder, part):
        return {test for test in self.seconds if part in test and Path(test.split("::")[0]).parent == "tests" / folder}
