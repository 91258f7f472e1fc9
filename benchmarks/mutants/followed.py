"""What was measured on an older source, followed to today's: which files have changed, and where their lines are now.

The commit that a test file was measured at stands beside what was seen, in ``<file>.commit``.
"""

import subprocess
from collections import defaultdict
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

BEFORE = "59313a5"          # what has no commit beside it was measured there


def git(root, *arguments):
    """Output of a git command: str."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def now(root):
    """The commit that is about to be measured; the sources and tests of the tree must be those of it."""
    changed = git(root, "status", "--porcelain", "spikingconvnet", "tests")
    if changed:
        raise SystemExit(f"Lines are measured at a commit, and these files are in none. Commit them first:\n{changed}")
    return git(root, "rev-parse", "HEAD").strip()


def commit_of(measured):
    """Commit at which a file of ``seen`` was measured, by the path of its ``.json``: str."""
    path = Path(measured).with_suffix(".commit")
    return path.read_text().strip() if path.exists() else BEFORE


class Since:
    """What has changed since a commit.

    Parameters
    ----------
    root : Path
        The tree.
    commit : str
        Raises CalledProcessError if the repository does not have it.
    """

    def __init__(self, root, commit):
        self.root, self.commit = Path(root), commit

    @cached_property
    def changed(self):
        """Files of the package and its tests that are otherwise today, or not there any more: set of str."""
        return set(git(self.root, "diff", "--name-only", "--no-renames", self.commit, "--", "spikingconvnet",
                       "tests").splitlines())

    def lines(self, file):
        """Where the lines of a file are now: dict of line to list of lines, or None if they are where they were."""
        if file not in self.changed:
            return None
        if not (self.root / file).exists():
            return {}
        return moved(git(self.root, "show", f"{self.commit}:{file}").splitlines(),
                     (self.root / file).read_text().splitlines())


def moved(before, after):
    """Where lines (from 1) of a text stand in another one: dict of line to list of lines.

    Where other lines stand in the place of some, all of those stand for all of these.
    """
    found = defaultdict(list)
    for kind, first, last, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for line in range(first, last):
            found[line + 1] += [line - first + begin + 1] if kind == "equal" else range(begin + 1, end + 1)
    return found
