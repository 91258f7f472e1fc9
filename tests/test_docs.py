"""What README and docs name is there: files, links, tests, options, modes, rules, and what blocks of Python import."""

import ast
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from spikingconvnet.cli.arguments import parser

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))}
OTHERS = {name: ROOT / name for name in ("CHANGELOG.md", "data/mnist/README.md", "tests/golden/README.md")}
HOMES = ("", "spikingconvnet", "benchmarks", "tests", "docs", "*", "*/*", "*/*/*", "*/*/*/*")
FILE = re.compile(r"`([\w*./-]+\.(?:py|c|h|md|toml|txt))`|(?<![\w./-])((?:benchmarks|docs|examples|tests)/[\w./-]+\w)")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
OPTION = re.compile(r"(?<![\w-])(--[a-z][\w-]*)")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
NAME = re.compile(r"`([a-z_]\w*)\.([A-Za-z_]\w*)")
VALUE = re.compile(r"--(mode|rule|backend|split) ([\w-]+)")
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
# What belongs to others: sPyNNaker and SpiNNFrontEndCommon, mpirun, a script of the reader's own, a graph of nir; what
# a command makes.
ELSEWHERE = {"parameters.toml", "mine.toml", "sweep.txt", "spike_processing_fast.c",
             "mine.py", "my_script.py", "load_executable_images.py", "job.py", "job-1.py", "--output-filename",
             "--its", "--arguments", "graph.infer_types", "--no-build-isolation"}
FIRST = ["README.md", "CONTRIBUTING.md", "docs/get-started.md",
         *(name for name in PAGES if name.startswith("docs/tutorials/"))]
BY_OLD_NAMES = {"docs/mutation.md"}         # its table has modules by the names that they had then


def unknown_files(text):
    """Names of files that are nowhere in the tree."""
    for found in FILE.finditer(text):
        name = (found[1] or found[2]).rstrip(".")
        places = (f"{home}/{name}" if home else name for home in HOMES)
        if name not in ELSEWHERE and not any(next(ROOT.glob(place), None) for place in places):
            yield name


def unknown_names(text):
    """Names like ``lowering.lower`` of which no module called so knows the second part."""
    for module, name in NAME.findall(text):
        files = list((ROOT / "spikingconvnet").rglob(f"{module}.py"))
        suffix = name in ("py", "c", "md", "npz", "json", "txt", "toml", "csv")
        known = suffix or f"{module}.{name}" in ELSEWHERE
        if files and not known and not any(re.search(rf"\b{name}\b", path.read_text()) for path in files):
            yield f"{module}.{name}"


def broken_links(text, path):
    """Targets of links to files, or to headings of pages, that are not there."""
    for target, heading in LINK.findall(text):
        if "://" in target:
            if not re.fullmatch(r"https?://[\w.-]+\.[a-z]+(:\d+)?(/\S*)?", target):
                yield target
        elif not target.startswith("mailto:"):
            page = (path.parent / target) if target else path
            if not page.exists() or (heading and heading not in headings(page.read_text())):
                yield f"{target}#{heading}" if heading else target


def headings(text):
    """Anchors of a page's headings."""
    plain = (re.sub(r"[^\w\- ]", "", line.lower()) for line in re.findall(r"^#+ +(.*)$", text, re.MULTILINE))
    return {line.strip().replace(" ", "-") for line in plain}


def options():
    """Every option that the package, a benchmark or the tests' own configuration takes, wherever it is spelled."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in listed.stdout.split()] if listed.returncode == 0 else ROOT.rglob("*.py")
    text = "\n".join(path.read_text() for path in files if path != Path(__file__))
    return set(re.findall(r'"(--[a-z][\w-]*)"', text))


def imports(text):
    """(module, name or None) of all that blocks of Python import from the package."""
    for block in BLOCK.findall(text):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module, alias.name) for alias in node.names)


def is_there(module, name):
    """Whether a module, and a module or a definition of it by that name, can be found; nothing is imported."""
    if not module.startswith("spikingconvnet"):
        return True
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return False
    if spec is None or name is None:
        return spec is not None
    defined = re.search(rf"^(class|def| *from .*) {name}\b|\b{name} =", Path(spec.origin).read_text(), re.MULTILINE)
    return bool(defined) or (spec.submodule_search_locations is not None
                             and find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize("name", FIRST)
def test_what_is_read_first_is_short(name, benchmark_named):
    words, sentences, mean, longest = benchmark_named("readability").measured(PAGES[name].read_text())
    assert words <= (700 if name == "README.md" else 900) and sentences > 10
    assert mean <= 15 and longest <= 30


@pytest.mark.parametrize("text, lengths", [
    ("# A heading\n\nTwo words. And three more.", [2, 3]),
    ("[one](a.md) `two`\nthree\n\n```\ncode is none\n```\nfour.", [3, 1]),
    ("* an item\n* another one here\n", [2, 3]), ("| a | table |\n|---|---|\n", []),
    ("About 3.5 of them, e.g. this. No.", [6, 1])])
def test_sentences_are_counted(text, lengths, benchmark_named):
    assert [len(words) for words in benchmark_named("readability").sentences(text)] == lengths


@pytest.mark.parametrize("name", [name for name in PAGES if name not in BY_OLD_NAMES])
def test_files_that_are_named_are_there(name):
    assert sorted(set(unknown_files(PAGES[name].read_text()))) == []


@pytest.mark.parametrize("name", PAGES)
def test_names_of_modules_are_there(name):
    assert list(unknown_names(PAGES[name].read_text())) == []


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_links_lead_somewhere(name):
    page = (PAGES | OTHERS)[name]
    assert list(broken_links(page.read_text(), page)) == []


@pytest.mark.parametrize("name", PAGES)
def test_tests_that_are_named_are_there(name):
    assert [f"{path}::{test}" for path, test in TEST.findall(PAGES[name].read_text())
            if f"def {test}(" not in (ROOT / path).read_text()] == []


def test_options_that_are_named_are_there():
    known = options() | ELSEWHERE
    named = {(name, option) for name, path in PAGES.items() for option in OPTION.findall(path.read_text())}
    assert len(named) > 100
    assert sorted(f"{name}: {option}" for name, option in named
                  if not {option, option.replace("--no-", "--")} & known) == []


@pytest.mark.parametrize("name", PAGES)
def test_modes_rules_backends_and_splits_that_are_named_are_there(name):
    choices = {action.dest: action.choices for action in parser()._actions}
    assert [f"--{option} {value}" for option, value in VALUE.findall(PAGES[name].read_text())
            if value not in choices[option]] == []


@pytest.mark.parametrize("name", PAGES)
def test_what_a_block_of_python_imports_is_there(name):
    assert [pair for pair in imports(PAGES[name].read_text()) if not is_there(*pair)] == []


@pytest.mark.parametrize("text, found", [
    ("`board/nowhere.py`", ["board/nowhere.py"]), ("`board/check.py` and `check.py`", []), ("`*kernels.py`", []),
    ("python benchmarks/nothing.py", ["benchmarks/nothing.py"]), ("python benchmarks/floors.py --seeds 0", [])])
def test_a_file_that_is_not_there_is_seen(text, found):
    assert list(unknown_files(text)) == found


@pytest.mark.parametrize("text, found", [("`lowering.lower`", []), ("`lowering.raise_it(x)`", ["lowering.raise_it"]),
                                         ("`idx.train_it`", ["idx.train_it"]), ("`locks.py`", [])])
def test_a_name_that_is_not_there_is_seen(text, found):
    assert list(unknown_names(text)) == found


@pytest.mark.parametrize("text, found", [("[x](worth.md#depth)", []), ("[x](worth.md#deep)", ["worth.md#deep"]),
                                         ("[x](nowhere.md)", ["nowhere.md"]), ("[x](https://no.where)", []),
                                         ("[x](htp://no.where)", ["htp://no.where"]),
                                         ("[x](http://nowhere)", ["http://nowhere"])])
def test_a_link_that_leads_nowhere_is_seen(text, found):
    assert list(broken_links(text, PAGES["docs/worth.md"])) == found


@pytest.mark.parametrize("line, found", [
    ("from spikingconvnet.training import convert", False), ("from spikingconvnet.training.chain import convert", True),
    ("from spikingconvnet.nowhere import x", False), ("import spikingconvnet as scn", True),
    ("from spikingconvnet.emulator import Board", True)])
def test_an_import_of_what_is_not_there_is_seen(line, found):
    assert all(is_there(*pair) for pair in imports(f"```python\n{line}\n```")) == found
