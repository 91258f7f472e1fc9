"""How long texts and their sentences are: words of each page, words a sentence on average, the longest sentence.

    python benchmarks/readability.py                    # README.md, CONTRIBUTING.md and every page of docs
    git show REVISION:README.md | python benchmarks/readability.py -

Words of a page are all that stand between blanks, as ``wc -w`` counts them. Sentences are those of its text: code,
tables, headings, formulas and where links lead to are left out; an item of a list ends a sentence, as does what stands
before a block of code.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (re.compile(r"^(```|:::|~~~).*?^\1", re.DOTALL | re.MULTILINE), re.compile(r"^---\n.*?^---\n", re.DOTALL),
            re.compile(r"\$\$.*?\$\$", re.DOTALL), re.compile(r"<!--.*?-->", re.DOTALL),
            re.compile(r"^(#|\s*\||\([\w-]+\)=).*$", re.MULTILINE), re.compile(r"!\[[^]]*\]\([^)]*\)"))
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
ITEM = re.compile(r"^\s*(?:[*+-]|\d+\.)\s+", re.MULTILINE)
END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)[\"')*`]*\s+(?=[\"'(*`\[]*[A-Z0-9`-])|\n\s*\n")


def sentences(text):
    r"""The sentences of a page in Markdown: list of list of words.

    >>> sentences("# Title\n\nOne is [short](a.md). The other has five words.\n\n* an item\n* another\n")
    [['One', 'is', 'short.'], ['The', 'other', 'has', 'five', 'words.'], ['an', 'item'], ['another']]
    """
    for pattern in LEFT_OUT:
        text = pattern.sub("\n\n", text)
    text = ITEM.sub("\n\n", LINK.sub(r"\1", text))
    found = ([word for word in part.split() if re.search(r"\w", word)] for part in END.split(text) if part)
    return [words for words in found if words]


def measured(text):
    """Words of a page, sentences, words a sentence, words of the longest: (int, int, float, int)."""
    lengths = [len(words) for words in sentences(text)]
    return len(text.split()), len(lengths), sum(lengths) / max(1, len(lengths)), max(lengths, default=0)


def main(words=None):
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="files, or - for what comes in; without any, all of the documentation")
    pages = parser.parse_args(words).pages or [str(path) for path in (
        ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))]
    print("| page | words | sentences | words a sentence | longest |\n|---|---|---|---|---|")
    for page in pages:
        n, count, mean, longest = measured(sys.stdin.read() if page == "-" else Path(page).read_text(encoding="utf-8"))
        print(f"| {page.removeprefix(f'{ROOT}/')} | {n:,} | {count:,} | {mean:.1f} | {longest} |")


if __name__ == "__main__":
    main()
