"""Packaging: metadata, dependencies and the console command."""
import sys
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))                       # pip's isolated builds do not look here
from distribution import COMMON, EMULATOR, emulator_core, extension  # noqa: E402

# The kernels in C, loaded with ctypes: nothing of Python in them. Without a compiler numba's do the same work.
NATIVE = extension("spikingconvnet/backends/local", "-O3", "-fwrapv", "-ffp-contract=off")

# sPyNNaker 7.4.1 makes a number of an array of one (neo_buffer_database.py:935), an error from NumPy 2.4.0 on; Brian2
# 2.9 does not import with it.
NUMPY = "numpy<2.4"
EXTRAS = {
    "spinnaker": ["sPyNNaker==1!7.4.1", NUMPY],
    "cluster": ["distributed>=2024.1"],
    "emulator": EMULATOR,
    "spalloc": [*EMULATOR, "tornado>=6.4"],      # HTTPS and websockets in one; distributed brings it too
    "ebrains": ["hbp-neuromorphic-platform>=0.11.2"],   # the service's own client, for --mode submit
    "nest": ["PyNN>=0.13,<0.14", "nest-simulator>=3.10"],
    "torch": ["torch>=2.2"],            # for --rule convert, softlif, surrogate; what they train runs without
    "safetensors": ["safetensors>=0.4"],        # weights of torch's networks in files of this kind; with torch
    "nir": ["nir>=1.0.4", "h5py>=3"],   # networks of other frameworks, in and out; h5py alone reads them
    "completion": ["shtab>=1.7"],       # of shells, by --completion
    "neo": ["neo>=0.13.4", "nixio>=1.5"],       # recordings as Blocks of neo; nixio writes them into files
    "brian2": ["PyNN>=0.13,<0.14", "brian2>=2.9", NUMPY],
}
EXTRAS["test"] = ["pytest>=8", "pytest-xdist>=3.8", "hypothesis>=6.100", "ruff>=0.17", "mypy>=2.4",
                  *EXTRAS["spinnaker"], *EXTRAS["spalloc"], *EXTRAS["ebrains"], *EXTRAS["cluster"],
                  *EXTRAS["nir"], *EXTRAS["neo"], *EXTRAS["safetensors"], *EXTRAS["completion"]]
# One release of torch: a range takes the newest, which may bring gigabytes of CUDA.
TORCH = "torch==2.13.0"
# The site, and what its tutorials execute.
EXTRAS["docs"] = ["sphinx>=8.1", "myst-nb>=1.3", "furo>=2025.9", *EXTRAS["spinnaker"], *EXTRAS["emulator"], TORCH]
# Everything that a test can need.
EXTRAS["complete"] = [*EXTRAS["test"], *EXTRAS["nest"], *EXTRAS["brian2"], *EXTRAS["docs"]]

setup(
    **COMMON,
    name="spikingconvnet",
    description="Layer-wise STDP spiking convolutional networks on SpiNNaker",
    long_description=(HERE / "README.md").read_text(),
    packages=find_packages(include=["spikingconvnet", "spikingconvnet.*"]),
    package_data={"spikingconvnet": ["experiment/recipes/*.py", "experiment/report/page.*", "py.typed", "*.pyi"]},
    ext_modules=[NATIVE, emulator_core()],
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.11",
        "numba>=0.61",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "pillow>=10",
        "pooch>=1.8",
        "python-mnist>=0.7",
        "tqdm>=4.66",
        "packaging>=23",
        "filelock>=4.1",
        "psutil>=5.9",
        "tomli>=2; python_version < '3.11'",        # tomllib of later Pythons
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["spikingconvnet=spikingconvnet.console:main",
                                      "spikingconvnet-emulator=spikingconvnet.emulator.cli:main"],
                  "pytest11": ["spinnaker-board=spikingconvnet.emulator.pytest_plugin"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
