"""The emulated board as a distribution of its own: numpy, and unicorn where there is no C compiler.

Its modules are those of the whole package, under the same names, so only one of the two can be installed.
"""
import os
import sys
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
os.chdir(HERE)
sys.path.insert(0, str(HERE.parent))                # for what both distributions have in common
from distribution import COMMON, EMULATOR, emulator_core  # noqa: E402

setup(
    **COMMON,
    name="spikingconvnet-board",
    description="A SpiNNaker board in memory, which runs the binaries of sPyNNaker",
    long_description=(HERE / "README.md").read_text(),
    package_dir={"": ".."},
    packages=["spikingconvnet", *(name for name in find_packages("..", include=["spikingconvnet.emulator",
                                                                               "spikingconvnet.emulator.*"]))],
    package_data={"spikingconvnet": ["py.typed", "__init__.pyi"]},
    ext_modules=[emulator_core("../")],
    install_requires=["numpy>=1.26"],
    extras_require={"unicorn": EMULATOR},
    entry_points={"console_scripts": ["spikingconvnet-emulator=spikingconvnet.emulator.cli:main"],
                  "pytest11": ["spinnaker-board=spikingconvnet.emulator.pytest_plugin"]},
)
