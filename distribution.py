"""What the two distributions of this repository have in common: the whole package (setup.py), the board (board/)."""
import re
import zlib
from pathlib import Path

from setuptools import Extension

HERE = Path(__file__).resolve().parent
EMULATOR = ["unicorn==2.1.4"]
COMMON = {
    "version": re.search(r'__version__ = "(.+)"', (HERE / "spikingconvnet/__init__.py").read_text()).group(1),
    "long_description_content_type": "text/markdown", "license": "MIT", "python_requires": ">=3.10"}


def extension(folder, *flags, above=""):
    """What is in C in a folder of the package; it knows the digest of its sources.

    Parameters
    ----------
    folder : of the repository
    flags : for the compiler
    above : the way to the repository from where it is built
    """
    sources, headers = (sorted(path.relative_to(HERE).as_posix() for path in (HERE / folder).glob(names))
                        for names in ("*_native.c", "*.h"))
    digest = zlib.crc32(b"".join((HERE / path).read_bytes() for path in sorted([*sources, *headers])))
    return Extension(f"{folder.replace('/', '.')}._native", sources=[above + path for path in sources],
                     depends=[above + path for path in headers], define_macros=[("SOURCE_DIGEST", f"{digest}u")],
                     extra_compile_args=list(flags), optional=True)


def emulator_core(above=""):
    """The emulated board's cores. Otherwise all instructions end in one jump, and flags are packed into vectors."""
    return extension("spikingconvnet/emulator", "-O2", "-fno-gcse", "-fno-tree-vectorize", above=above)
