"""The directory that a tutorial is executed in, as one finds it in a clone: ``%run ../_site/scratch.py NAME``."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def enter(name):
    """Make ``build/tutorials/NAME`` anew, with what a clone has, and go there; commands are those of this Python."""
    folder = ROOT / "build/tutorials" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in ("data", "examples", "parameters.py"):
        (folder / part).symlink_to(ROOT / part)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    os.chdir(folder)


if __name__ == "__main__":
    enter(sys.argv[1])
