"""Open every page of the site in a real browser without a window, use its controls, and say what went wrong.

    make site && python benchmarks/site_in_browser.py build/site --screenshots shots

At 1280 pixels in light and at 390 in dark: no error on the console, no request but for files of the site, no picture
that is missing, nothing wider than the screen, no serious fault that axe-core finds. On the first page also: the drawer
of a telephone, the way of the keyboard. A search. With ``--few`` axe-core and 1280 pixels are for one page of each kind
alone, which takes a quarter of the time. The exit code is 1 if anything is wrong.
"""

import argparse
import sys
from pathlib import Path

from chromium import NARROW, WIDE, browser, complaints

ON_PAGE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").strip()
FIRST, SEARCH, ASKED = "index.html", "search.html", "threshold"
# One page of each kind: links, a tutorial with its output, tables, equations, docstrings, the search.
KINDS = (FIRST, "tutorials/is-it-learning.html", "results.html", "timeline.html", "reference/data.html", SEARCH)
FEWEST_FOUND = 5
DRAWER = "document.getElementById('__navigation').click()"
FOUND = "document.querySelectorAll('#search-results li a').length"


def look(chromium, site, page, shots, closely=True):
    """What is wrong with a page: list of str; not closely: at 390 pixels, without axe-core."""
    wrong, address = [], (site / page).resolve().as_uri()
    for size, colours in ((WIDE, "light"), (NARROW, "dark"))[not closely:]:
        chromium.open(address, size, colours)
        found = [*chromium.value(f"{ON_PAGE}.look()"), *(chromium.faults() if closely else ())]
        if shots and closely:
            name = f"site-{page.replace('/', '-').removesuffix('.html')}-{size[0]}-{colours}.png"
            (shots / name).write_bytes(chromium.picture())
        if page == FIRST:
            found += first(chromium, size, shots)
        if not chromium.value(f"{ON_PAGE}.use()"):
            found.append("no control")
        found += complaints(chromium.events, site.resolve().as_uri())
        wrong += [f"{page}, {size[0]} pixels, {colours}: {one}" for one in found]
    return wrong


def first(chromium, size, shots):
    """What is wrong with what all pages have: the keyboard, the drawer of a telephone."""
    if size == WIDE:
        return chromium.walk()
    chromium.value(DRAWER)
    found = chromium.faults()
    if shots:
        (shots / "site-drawer-390-dark.png").write_bytes(chromium.picture())
    chromium.value(DRAWER)
    return found


def search(chromium, site, shots):
    """What is wrong with a search: list of str."""
    chromium.open(f"{(site / SEARCH).resolve().as_uri()}?q={ASKED}", WIDE, "light")
    chromium.until(f"{FOUND} >= {FEWEST_FOUND} || /did not match/.test(document.body.textContent)")
    found = [*chromium.faults(), *complaints(chromium.events, site.resolve().as_uri())]
    if chromium.value(FOUND) < FEWEST_FOUND:
        found.append(f"'{ASKED}' is not found")
    if shots:
        (shots / "site-found-1280-light.png").write_bytes(chromium.picture())
    return [f"search: {one}" for one in found]


def looked_at(site, shots=None, folder=Path("build/browser"), fetched=False, few=False):
    """What is wrong with a site: list of str.

    Parameters
    ----------
    site : Path
        Its folder.
    shots : Path or None
        Folder for pictures of its pages.
    folder : Path
        Of what is fetched.
    fetched : bool
        Whether a browser of the machine is left alone.
    few : bool
        Whether only one page of each kind is looked at closely.
    """
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    wrong = [f"{name} is missing" for name in KINDS if name not in pages]
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    with browser(folder, fetched) as chromium:
        for page in pages:
            wrong += look(chromium, site, page, shots, not few or page in KINDS)
        if SEARCH in pages:
            wrong += search(chromium, site, shots)
    print(f"{len(pages)} pages", flush=True)
    return wrong


def main(words=None):
    """Look at the site: the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the pages")
    parser.add_argument("--fetched", action="store_true", help="a browser from the registries, also if there is one")
    parser.add_argument("--few", action="store_true", help="one page of each kind closely, the others at 390 pixels")
    options = parser.parse_args(words)
    wrong = looked_at(options.site, options.screenshots, fetched=options.fetched, few=options.few)
    print("\n".join(wrong) or "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
