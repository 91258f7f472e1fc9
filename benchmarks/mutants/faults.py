"""The faults that can be put into the package: cosmic-ray's operators at every place of the source.

A *place* is where a family of operators applies, say arithmetic at line 12, column 8 of ``spikes.py``; it has one or
more mutants (``+`` becomes ``-``, ``*``, ...). Places are drawn, then one mutant of each, so that a ``+`` with its
eleven mutants counts no more than an ``if`` with one.
"""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

FAMILIES = {"ReplaceBinaryOperator": "arithmetic", "ReplaceComparisonOperator": "comparison",
            "ReplaceUnaryOperator": "unary", "AddNot": "condition", "ReplaceTrueWithFalse": "constant",
            "ReplaceFalseWithTrue": "constant", "NumberReplacer": "number", "ReplaceAndWithOr": "and, or",
            "ReplaceOrWithAnd": "and, or", "ReplaceBreakWithContinue": "loop", "ReplaceContinueWithBreak": "loop",
            "ZeroIterationForLoop": "loop", "ExceptionReplacer": "exception", "RemoveDecorator": "decorator"}
# Not used, since they change nothing but by accident: `is` for `==`, `<` and the like, and the reverse (whether equal
# numbers are one object is up to the interpreter); another number, or ~1, for the -1 of a reshape (numpy takes any
# below 0).
IDENTITY = re.compile(r"_((?!Is)[A-Za-z]+_Is(Not)?|Is(Not)?_(?!Is)[A-Za-z]+)$")
RESHAPE = re.compile(r"reshape\(.*- ?$")
# What decides how fast something is and not what it does: decorators, and arguments of numba's.
FASTER = re.compile(r"(functools\.)?(lru_)?cache\b|_?compiled$|inlined$|(numba\.)?njit\b")
FASTER_ARGUMENTS = {"cache", "nogil", "parallel", "inline"}
# What holds an operator between two operands; the ** of a {**dict} and the * of (a, *, b) stand elsewhere.
OPERATION = {"arith_expr", "term", "power", "shift_expr", "expr", "xor_expr", "and_expr"}


def families():
    """Operators in use: dict of cosmic-ray's name to family. Those that need names of variables are left out."""
    names = {name: FAMILIES.get(name.removeprefix("core/").split("_")[0]) for name in operator_names()}
    return {name: family for name, family in names.items() if family and not IDENTITY.search(name)}


@dataclass(frozen=True)
class Fault:
    """One mutant: `operator` at its `occurrence`-th position in the file; `line` from 1 and `column` from 0."""

    file: str
    family: str
    line: int
    column: int
    operator: str
    occurrence: int

    def into(self, source):
        """The source with the fault in it."""
        return mutate_code(source, get_operator(self.operator)(), self.occurrence)

    def is_one(self, source):
        """Whether the source with the fault in it is Python, which ``2 * not a`` is not, and not the same: 1e30 + 1."""
        try:
            return ast.dump(ast.parse(self.into(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False

    def shown(self, source):
        """The line (or the lines) before and after: two str."""
        before, after = source.splitlines(), self.into(source).splitlines()
        changed = [(old, new) for old, new in zip(before, after) if old != new] or [("", "")]
        if len(before) != len(after):
            return before[self.line - 1].strip(), "(taken out)"
        return tuple(" | ".join(line.strip() for line in lines) for lines in zip(*changed))


def _no_values(source):
    """What is no value: annotations, and what changes nothing but speed. Sets of (line, column) of their places."""
    lines, spans = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        spans += [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("TypeAlias"):
            spans.append(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("njit", "jit"):
            spans += [argument.value for argument in node.keywords if argument.arg in FASTER_ARGUMENTS]
        spans += [one for one in getattr(node, "decorator_list", ()) if FASTER.match(ast.unparse(one))]
    at = {(line, column) for span in filter(None, spans) for line in range(span.lineno, span.end_lineno + 1)
          for column in range(span.col_offset if line == span.lineno else 0,
                              span.end_col_offset if line == span.end_lineno else len(lines[line - 1]))}
    return at | {(span.lineno, span.col_offset - 1) for span in filter(None, spans)}     # the @ of a decorator


def places(file, source):
    """Every place of a file: dict of (file, family, line, column) to list of its Faults."""
    found, text, left_out = defaultdict(list), source.splitlines(), _no_values(source)
    nodes = list(ast_nodes(get_ast(source)))
    for name, family in families().items():
        operator = get_operator(name)()
        positions = ((node, at) for node in nodes for at, _ in operator.mutation_positions(node))
        for occurrence, (node, (line, column)) in enumerate(positions):
            if (line, column) in left_out:
                continue
            before = text[line - 1][:column] + "-" * name.endswith("USub_Invert")
            if (family == "number" or before.endswith("-")) and RESHAPE.search(before):
                continue
            if family == "arithmetic" and node.parent.type not in OPERATION:
                continue
            found[file, family, line, column].append(Fault(file, family, line, column, name, occurrence))
    return found


def draw(every, n, rng):
    """`n` places of all of them, all equally likely, and a mutant of each: list of Faults in the order of the draw."""
    keys = sorted(every)
    chosen = rng.permutation(len(keys))[:n]
    return [every[keys[k]][rng.integers(len(every[keys[k]]))] for k in chosen]


class Lines:
    """Which lines of a source belong to the statement, the function and the class that a line is in."""

    def __init__(self, source):
        self.tree = ast.parse(source)

    @cached_property
    def _spans(self):
        """Statements without what is inside them, from the outermost in: list of (first, last, node)."""
        spans = []
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.stmt, ast.ExceptHandler)):
                body = getattr(node, "body", None)
                first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
                spans.append((first, max(node.lineno, body[0].lineno - 1) if body else node.end_lineno, node))
        return spans

    def statement(self, line):
        """Lines of the innermost statement (of its head, if it has a body) around a line."""
        spans = [(last - first, first, last) for first, last, _ in self._spans if first <= line <= last]
        _, first, last = min(spans, default=(0, line, line))
        return range(first, last + 1)

    def around(self, line):
        """Spans of the definitions around a line, the innermost first, then the whole file: list of ranges."""
        inside = [range(first, node.end_lineno + 1) for first, _, node in self._spans
                  if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and first <= line <= node.end_lineno]
        return [*sorted(inside, key=len), range(1, 1 << 30)]

    def in_function(self, line):
        """Whether a line is run when a function is called, and not when the file is imported."""
        return any(isinstance(node, ast.FunctionDef) and last < line <= node.end_lineno
                   for _, last, node in self._spans)
