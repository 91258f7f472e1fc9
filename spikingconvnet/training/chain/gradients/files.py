"""Files with trained weights of torch's networks, and the networks that they belong to.

Of a file nothing is run: ``torch.load`` with ``weights_only`` makes no objects but tensors, the format of safetensors
knows none, and of an archive of torch.export, which has its graph, JSON and bytes are read (:mod:`archives`). For
weights alone the network is Python of the user's own, named as ``MODULE:NAME`` or ``FILE.py:NAME``.
"""

import runpy
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from spikingconvnet.errors import BackendError, SettingsError
from spikingconvnet.gates.libraries import need
from spikingconvnet.training.chain.gradients import archives

SUFFIXES = ".pt", ".pth", ".pt2", ".safetensors"
WRAPPERS = "state_dict", "model_state_dict", "model"        # under which trainers keep it among other things
PREFIXES = "module.", "_orig_mod."                          # of DataParallel and torch.compile
COUNT = "num_batches_tracked"       # of BatchNorm; answers do not depend on it
Weights: TypeAlias = dict[str, torch.Tensor]
NAMED = 5               # names that an error lists
EXPORT = 'torch.export.save(torch.export.export(network.eval(), (torch.rand(2, 1, 28, 28),)), "net.pt2")'


def loaded(path: str | Path, architecture: str | nn.Module | None = None) -> nn.Module:
    """A trained network.

    Parameters
    ----------
    path : str or Path
        A ``state_dict`` in a ``.pt``, ``.pth`` or ``.safetensors``, or what holds one as "state_dict" or "model"; or a
        network that ``torch.export.save`` has written, ``.pt2``.
    architecture : str, torch.nn.Module or None
        The network that a ``state_dict`` belongs to; a text is ``MODULE:NAME`` or ``FILE.py:NAME``: a module, or a
        class or function that makes one without arguments.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    SettingsError
        The file is missing or damaged or holds neither, or is TorchScript; the architecture is missing or one too many,
        cannot be found or made, or does not fit; the text says which weights.
    BackendError
        A ``.safetensors`` without the library that reads it.
    """
    weights = _contents(path)
    if isinstance(weights, nn.Module):
        if architecture is not None:
            raise SettingsError(f"{path}: has its network and weights; cannot be given as weights of another one")
        return weights
    if architecture is None:
        raise SettingsError(f"{path}: has weights without the graph of their network; name the network: spikingconvnet"
                            f" --mode convert FILE.py:NAME mine.py --weights {shlex.quote(str(path))}; or save it with"
                            f" them where it is made: {EXPORT}, then: spikingconvnet --mode convert net.pt2 mine.py")
    network = architecture if isinstance(architecture, nn.Module) else network_of(architecture)
    _check_fit(path, *({name: one for name, one in found.items() if not name.endswith(COUNT)}
                       for found in (network.state_dict(), weights)))
    network.load_state_dict(weights, strict=False)
    return network


def _contents(path: str | Path) -> Weights | nn.Module:
    """Weights of a file, or its network if it has one."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise SettingsError(f"{path}: must end with {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file")
    try:
        found = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    except BackendError:
        raise
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    except Exception as error:      # a damaged file fails wherever torch stumbles
        raise SettingsError(f"{path}: {_unread(error)}") from error
    return found if isinstance(found, nn.Module) else _state(path, found)


def _state(path: Path, found: Any) -> Weights:
    """The ``state_dict`` in what a file holds."""
    while isinstance(found, dict) and (inside := [name for name in WRAPPERS if isinstance(found.get(name), dict)]):
        found = found[inside[0]]
    if not isinstance(found, dict) or not found or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise SettingsError(f"{path}: must hold a state_dict; save it with torch.save(network.state_dict(), path)")
    return _plainly_named(found)


def _torch(path: Path) -> Any:
    if archives.is_archive(path):
        return archives.read(path)
    if archives.is_script(path):
        raise SettingsError("is TorchScript, whose code runs as it is read; export the network where it is made:"
                            f" {EXPORT}")
    return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> Any:
    need("safetensors", str(path))
    return import_module("safetensors.torch").load_file(path)


def _unread(error: Exception) -> str:
    """Why a file cannot be read."""
    if "GLOBAL" in str(error):
        return ("holds more than numbers, as a whole pickled network, which is Python that runs as it is read; save"
                " torch.save(network.state_dict(), path) instead")
    return f"cannot be read, it is damaged or of another kind: {(str(error) or type(error).__name__).splitlines()[0]}"


def _plainly_named(weights: Weights) -> Weights:
    """Without the prefixes that wrappers put before all names."""
    prefix = next((one for one in PREFIXES if all(name.startswith(one) for name in weights)), None)
    return weights if prefix is None else _plainly_named({name[len(prefix):]: one for name, one in weights.items()})


def network_of(architecture: str) -> nn.Module:
    """The network that a text names.

    Parameters
    ----------
    architecture : str
        ``MODULE:NAME`` or ``FILE.py:NAME``.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    SettingsError
        It cannot be found, or made without arguments.
    """
    home, colon, name = str(architecture).rpartition(":")
    if not colon or not home or not name:
        raise SettingsError(f"{architecture}: must be MODULE:NAME or FILE.py:NAME of a network")
    there = _names_of(home)
    if name not in there:
        raise SettingsError(f"{home}: has no {name}")
    found = there[name] if isinstance(there[name], nn.Module) else _made(architecture, there[name])
    if not isinstance(found, nn.Module):
        raise SettingsError(f"{architecture}: must be or make a torch.nn.Module, got {type(found).__name__}")
    return found


def _names_of(home: str) -> Mapping[str, Any]:
    """What a module or file defines: dict. It is Python of the user's own, which can fail in any way."""
    if home.endswith(".py") and not Path(home).is_file():
        raise SettingsError(f"{home}: there is no such file")
    sys.path.insert(0, str(Path(home).parent.resolve() if home.endswith(".py") else Path.cwd()))
    try:
        return runpy.run_path(home) if home.endswith(".py") else vars(import_module(home))
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{home}: cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


def _made(architecture: str, maker: Callable[[], Any]) -> Any:
    """What a class or function makes; also Python of the user's own."""
    try:
        return maker()
    except Exception as error:
        raise SettingsError(f"{architecture}: cannot be made without arguments: {error}; name a function that gives"
                            " them") from error


def _check_fit(path: str | Path, wanted: Weights, given: Weights) -> None:
    """Raise a SettingsError unless weights are those of the network, name by name and in their shapes."""
    shapes = [f"{name} is of shape {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
              for name in wanted.keys() & given.keys() if given[name].shape != wanted[name].shape]
    faults = {"lacks": sorted(wanted.keys() - given.keys()), "has besides": sorted(given.keys() - wanted.keys()),
              "other sizes:": sorted(shapes)}
    texts = [f"{what} {', '.join(names[:NAMED])}{f' and {len(names) - NAMED} more' if names[NAMED:] else ''}"
             for what, names in faults.items() if names]
    if texts:
        raise SettingsError(f"{path}: is not of this network: {'; '.join(texts)}")
