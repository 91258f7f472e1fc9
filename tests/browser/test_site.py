"""The site in a real browser: every page is opened, one of each kind looked at closely. ``make browser``.

Pictures are kept in ``build/browser/shots``. The site is what ``make test`` or ``make site`` has built. If there is
none, or pages of the documentation are newer, it is built here, without the output of its tutorials.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/browser"
HTML = "<!DOCTYPE html><html lang=en><head><title>x</title></head><body><main>{}</main></body></html>"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site():
    """The folder of the site."""
    first = ROOT / "build/site/index.html"
    written = max(path.stat().st_mtime for path in (ROOT / "docs").rglob("*") if path.is_file())
    if first.exists() and first.stat().st_mtime > written:
        return first.parent
    pytest.importorskip("myst_nb")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", "-D", "nb_execution_mode=off", "-d", BUILD / "doctrees",
                    "docs", BUILD / "site"], cwd=ROOT, check=True)
    return BUILD / "site"


def test_nothing_is_wrong_with_the_site(site, benchmark_named):
    looking, shots = benchmark_named("site_in_browser"), BUILD / "shots"
    assert looking.looked_at(site, shots, BUILD, few=True) == []
    assert len(list(shots.glob("site-*.png"))) >= 2 * len(looking.KINDS)


def test_what_is_wrong_with_a_site_is_found(tmp_path, benchmark_named):
    (tmp_path / "index.html").write_text(HTML.format(
        "<input type=checkbox id=__navigation aria-label=x><p role=heading>x</p><a href=#x style='outline: 0'>x</a>"
        "<script>nothing()</script><script src='https://spikingconvnet.invalid/x.js'></script>"), "utf-8")
    (tmp_path / "other.html").write_text(HTML.format(
        "<img src=no.png alt=><p style='width: 999px'>-</p><pre style='height: 2px; overflow: auto'>cut</pre>"), "utf8")
    wrong = benchmark_named("site_in_browser").looked_at(tmp_path, None, BUILD, few=True)
    for said in ("axe aria-required-attr", "exception", "request: https", "no sign of the focus: <a",
                 "no picture: no.png", "cut below: cut", "wider than the screen",
                 "other.html, 390 pixels, dark: no control", "search.html is missing"):
        assert any(said in one for one in wrong), (said, wrong)
