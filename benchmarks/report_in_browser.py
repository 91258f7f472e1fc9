"""Open pages of runs in a real browser without a window, use every control, and say what went wrong.

    python benchmarks/report_in_browser.py runs/demo/report.html --screenshots shots

At 1280 and at 390 pixels, in light and in dark: no error on the console, no request but for the page itself, nothing
wider than the screen, no control without a name, no text with less contrast than 4.5 to 1, no serious fault that
axe-core finds. Chromium is that of the machine, or fetched as a package, see ``browsers.py``; commands go to it through
a pipe (Chrome DevTools Protocol). The exit code is 1 if anything is wrong.
"""

import argparse
import base64
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browsers import axe_call, tools

SIZES = ((1280, 900), (390, 844))
PATIENCE = 120          # s for an answer
ON_PAGE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").strip()


class Browser:
    """A Chromium without a window, and what it says.

    Parameters
    ----------
    program : str
    folder : str
        For its profile.
    environment : dict of str to str, optional
    """

    def __init__(self, program, folder, environment=None):
        to_browser, from_browser = os.pipe(), os.pipe()

        def pipes():
            high = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (to_browser[0], from_browser[1])]
            for one, place in zip(high, (3, 4)):        # where Chromium looks for them
                os.dup2(one, place)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={folder}", "about:blank"], preexec_fn=pipes, close_fds=False,     # noqa: PLW1509
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        os.close(to_browser[0])
        os.close(from_browser[1])
        self.into, self.out = os.fdopen(to_browser[1], "wb", 0), os.fdopen(from_browser[0], "rb", 0)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **params):
        """The answer to a command; events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.into.write(json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)
        raise RuntimeError(f"{method}: no answer")

    def read(self):
        """The next message."""
        while b"\0" not in self.rest:
            part = self.out.read(1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def value(self, expression):
        """What an expression gives on the page, or a RuntimeError with what it throws."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return found["result"].get("value")

    def close(self):
        """End it."""
        self.process.terminate()
        self.process.wait(30)


def complaints(events, address):
    """What events say that should not have been: errors, warnings of policies, requests."""
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            yield f"exception: {params['exceptionDetails'].get('exception', {}).get('description')}"
        elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            yield f"console: {params['args']}"
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            yield f"log: {params['entry']['text']}"
        elif event.get("method") == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if url != address and not url.startswith("data:"):
                yield f"request: {url}"


def look(browser, page, shots, axe):
    """What is wrong with a page at all sizes and in both colours, with axe-core by its script `axe`: list of str."""
    address, wrong = page.resolve().as_uri(), []
    for (width, height), colours in [(size, colours) for size in SIZES for colours in ("light", "dark")]:
        browser.events.clear()
        browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                    mobile=width < 500)
        browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        browser.ask("Page.navigate", url=address)
        deadline = time.monotonic() + PATIENCE
        while browser.value("document.readyState") != "complete" and time.monotonic() < deadline:
            time.sleep(0.05)
        where = f"{page.name}, {width} pixels, {colours}"
        wrong += [f"{where}: {one}" for one in browser.value(f"{ON_PAGE}.look()")]
        if shots:
            picture = browser.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            (shots / f"{page.parent.name}-{page.stem}-{width}-{colours}.png").write_bytes(base64.b64decode(picture))
        wrong += [f"{where}: {one}" for one in browser.value(axe_call(axe))]
        used = browser.value(f"{ON_PAGE}.use()")
        wrong += [f"{where}, used: {one}" for one in browser.value(f"{ON_PAGE}.look()")]
        wrong += [f"{where}: {one}" for one in complaints(browser.events, address)]
        print(f"{where}: {used} controls used", flush=True)
    return wrong


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
    with_what = tools(folder, fetched)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(with_what.program, profile, with_what.environment)
        try:
            return [one for page in pages for one in look(browser, page, shots, with_what.axe)]
        finally:
            browser.close()


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
