"""The site: it builds without a warning, its tutorials run, nothing public is missing, no link leads nowhere.

Sphinx comes with the extra ``docs``. The build executes the tutorials, which is most of its time; nothing else does.
"""

import re
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import spikingconvnet as scn
from spikingconvnet.cli.table import MODES, OPTIONS
from spikingconvnet.experiment.settings import NAMES

pytest.importorskip("myst_nb")
ROOT = Path(__file__).parents[1]
TUTORIALS = {path.stem: path for path in sorted((ROOT / "docs/tutorials").glob("*.md"))}
CELL = re.compile(r"^```\{code-cell\}\n(:tags: \[remove-cell\])?", re.MULTILINE)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """What Sphinx has said, and the folder of the site: (CompletedProcess, Path)."""
    site = ROOT / "build/site"
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-E", "-d",
                           tmp_path_factory.mktemp("doctrees"), "docs", site], cwd=ROOT, capture_output=True, text=True)
    return done, site


class Page(HTMLParser):
    """What a page names: anchors of its own, links, and what a browser would load for it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """See HTMLParser."""
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("img", "script", "iframe", "source") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") != "canonical" and given.get("href"):
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def pages(build):
    """Every page of the site by its path: dict of Path to Page."""
    return {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in build[1].rglob("*.html")}


def broken(pages):
    """(page, link) of all that lead nowhere in the site; of addresses elsewhere those that are none."""
    for path, page in pages.items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                well = re.fullmatch(r"[\w.-]+\.[a-z]+(:\d+)?", parts.netloc) and link not in page.loads
            elif parts.scheme:
                well = parts.scheme == "mailto" or parts.scheme == "data"
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                well = (target in pages or target.exists()) and (not parts.fragment or target not in pages
                                            or unquote(parts.fragment) in pages[target].anchors)
            if not well:
                yield path.name, link


def test_it_builds_without_a_warning(build):
    """Of Sphinx; Jupyter says on stderr over what it talks to its kernels."""
    assert build[0].returncode == 0, build[0].stderr


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_cell_of_a_tutorial_was_executed(build, name):
    shown = [tags for tags in CELL.findall(TUTORIALS[name].read_text()) if not tags]
    text = (build[1] / f"tutorials/{name}.html").read_text()
    assert len(shown) >= 3 and text.count('class="cell_input docutils container"') == len(shown)
    assert text.count('class="cell_output docutils container"') >= 2
    assert "Traceback (most recent call last)" not in text


def test_every_public_name_is_on_it_once(pages):
    found = defaultdict(list)
    for path, page in pages.items():
        for name in page.anchors & {f"{module}.{name}" for name, module in scn.PUBLIC.items()}:
            found[name.rpartition(".")[2]].append(path.name)
    assert set(found) == set(scn.PUBLIC)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_every_mode_and_option_is_on_it(build, pages):
    wanted = {f"mode-{name}" for name in MODES} | {f"option-{one.flag.strip('-')}" for one in OPTIONS}
    assert wanted <= pages[(build[1] / "reference/commands.html").resolve()].anchors


def test_every_name_of_a_parameters_file_is_on_it():
    table = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/reference/parameters.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(table))) == sorted(NAMES.values())


def test_no_link_leads_nowhere_and_nothing_is_loaded_from_elsewhere(pages):
    assert len(pages) > 40 and sum(len(page.links) for page in pages.values()) > 1000
    assert sorted(broken(pages)) == []


@pytest.mark.parametrize("text, found", [
    ('<a href="#here">', ["#here"]), ('<p id="here"><a href="#here">', []), ('<a href="no.html">', ["no.html"]),
    ('<a href="https://no.where/x">', []), ('<a href="https://nowhere">', ["https://nowhere"]),
    ('<script src="https://no.where/x.js">', ["https://no.where/x.js"]), ('<a href="mailto:a@b.c">', [])])
def test_a_link_that_leads_nowhere_is_seen(text, found, tmp_path):
    assert [link for _, link in broken({tmp_path / "page.html": Page(text)})] == found
