"""A Chromium without a window, driven through a pipe (Chrome DevTools Protocol), and what it says of pages."""

import base64
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from browsers import axe_call, tools

WIDE, NARROW = (1280, 900), (390, 844)      # pixels
PATIENCE = 120                              # s for an answer
MOST_STOPS = 600                            # of the keyboard on a page
WALK = Path(__file__).with_name("keyboard.js").read_text(encoding="utf-8").strip()


class Browser:
    """A Chromium without a window, and what it says.

    Parameters
    ----------
    program : str
    folder : str
        For its profile.
    environment : dict of str to str
    axe : str
        The script of axe-core.
    """

    def __init__(self, program, folder, environment, axe):
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
        self.rest, self.number, self.events, self.session, self.axe = b"", 0, [], None, axe
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
            answer = self.read(method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)
        raise RuntimeError(f"{method}: no answer")

    def read(self, method):
        """The next message, while `method` is waited for."""
        while b"\0" not in self.rest:
            if not select.select([self.out], [], [], PATIENCE)[0]:
                raise RuntimeError(f"{method}: no answer")
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

    def until(self, expression):
        """Wait until an expression is true on the page."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise RuntimeError(f"never true: {expression}")
            time.sleep(0.02)

    def open(self, address, size, colours):
        """Load a page; what was said before is forgotten.

        Parameters
        ----------
        address : str
        size : (int, int)
            Width and height in pixels; narrow ones are telephones.
        colours : str
            ``light`` or ``dark``.
        """
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1,
                 mobile=size[0] < 500)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def picture(self, whole=False):
        """What is seen, or the whole page: bytes of a PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def faults(self):
        """What axe-core finds that is serious: list of str."""
        return self.value(axe_call(self.axe))

    def walk(self):
        """What is wrong for the keyboard, from its first stop to its last: list of str. Each step is the key Tab."""
        self.value(f"{WALK}.begin()")
        for _ in range(MOST_STOPS):
            for kind in ("keyDown", "keyUp"):
                self.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            if self.value(f"{WALK}.stop()"):
                return self.value(f"{WALK}.end()")
        return ["the keyboard goes round and round"]

    def seconds(self):
        """CPU time of all its processes; a shell's `time` does not see most of them."""
        own = psutil.Process(self.process.pid)
        return sum(sum(one.cpu_times()[:4]) for one in (own, *own.children(recursive=True)))

    def close(self):
        """End it, and what it has started."""
        with suppress(RuntimeError, OSError):
            self.session = None
            self.ask("Browser.close")
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def browser(folder, fetched=False):
    """A Browser of the machine, or one that is fetched into `folder`.

    Parameters
    ----------
    folder : Path
    fetched : bool
        Whether a browser of the machine is left alone.
    """
    with_what = tools(folder, fetched)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        opened = Browser(with_what.program, profile, with_what.environment, with_what.axe)
        try:
            yield opened
            print(f"{opened.seconds():.0f} s of CPU in the browser", flush=True)
        finally:
            opened.close()


def complaints(events, address):
    """What events say that should not have been: errors, warnings of policies, requests for what is not below it."""
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
            if not url.startswith((address, "data:")):
                yield f"request: {url}"
