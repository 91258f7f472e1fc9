"""Open pages of runs in a real browser without a window, use every control, and say what went wrong.

    python benchmarks/report_in_browser.py runs/demo/report.html --screenshots shots

At 1280 and at 390 pixels, in light and in dark: no error on the console, no request but for the page itself, nothing
wider than the screen, no control without a name or out of the keyboard's reach, no text with less contrast than 4.5 to
1, no serious fault that axe-core finds. Chromium is that of the machine, or fetched as a package, see ``browsers.py``.
The exit code is 1 if anything is wrong.
"""

import argparse
import itertools
import sys
from pathlib import Path

from chromium import NARROW, WIDE, browser, complaints

CLOSELY = (WIDE, "light"), (NARROW, "dark")
ON_PAGE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").strip()


def look(chromium, page, shots):
    """What is wrong with a page: list of str. Both sizes have both colours, and one of them all that is looked at."""
    address, wrong = page.resolve().as_uri(), []
    for size, colours in itertools.product((WIDE, NARROW), ("light", "dark")):
        chromium.open(address, size, colours)
        found = chromium.value(f"{ON_PAGE}.look()")
        if (size, colours) in CLOSELY:
            name = f"{page.parent.name}-{page.stem}-{size[0]}-{colours}.png"
            found += closely(chromium, size, shots and shots / name)
        found += complaints(chromium.events, address)
        wrong += [f"{page.name}, {size[0]} pixels, {colours}: {one}" for one in found]
    return wrong


def closely(chromium, size, shot):
    """What axe-core finds, and what goes wrong as everything is used: list of str."""
    if shot:
        shot.write_bytes(chromium.picture(whole=True))
    found = chromium.faults() + (chromium.walk() if size == WIDE else [])
    used = chromium.value(f"{ON_PAGE}.use()")
    print(f"{size[0]} pixels: {used} controls used", flush=True)
    return found + [f"used: {one}" for one in chromium.value(f"{ON_PAGE}.look()")]


def looked_at(pages, shots=None, folder=Path("build/browser"), fetched=False):
    """What is wrong with some pages: list of str.

    Parameters
    ----------
    pages : list of Path
    shots : Path or None
        Folder for pictures of them.
    folder : Path
        Of what is fetched.
    fetched : bool
        Whether a browser of the machine is left alone.
    """
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    with browser(folder, fetched) as chromium:
        return [one for page in pages for one in look(chromium, page, shots)]


def main(words=None):
    """Look at pages: the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the pages")
    parser.add_argument("--fetched", action="store_true", help="a browser from the registries, also if there is one")
    options = parser.parse_args(words)
    wrong = looked_at(options.pages, options.screenshots, fetched=options.fetched)
    print("\n".join(wrong) or "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
