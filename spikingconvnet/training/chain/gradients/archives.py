"""Archives of torch.export (``.pt2``): a graph as JSON beside weights as bytes, of which nothing is run.

``torch.export.load`` unpickles what an archive says is pickled, and sample inputs that are no plain tensors, and
evaluates sizes as Python (torch 2.13: ``export/pt2_archive/_package.py``, ``sympify`` in
``_export/serde/serialize.py``). Here operations are those of ATen, found by their names, and weights are numbers.
"""

import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import fx

from spikingconvnet.errors import SettingsError
from spikingconvnet.training.chain.gradients.exported import settled
from spikingconvnet.training.chain.gradients.operations import named
from spikingconvnet.training.chain.gradients.reading import KNOWN, READ, why_not

MARK = "archive_format"         # a file that only these archives have
# torch/_export/serde/schema.py, ScalarType
TYPES = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
         7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16}
FOLDERS = {"weights": "data/weights/model_weights_config.json",
           "constants": "data/constants/model_constants_config.json"}
WEIGHTS = "parameter", "buffer", "tensor_constant"
# Kinds of arguments there, and how they are read: numbers, and lists of what.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "as_int": int, "as_float": float, "as_bool": bool, "as_string": str, "as_none": lambda _: None,
    "as_scalar_type": TYPES.__getitem__}
LISTS = {"as_ints": "as_int", "as_floats": "as_float", "as_bools": "as_bool", "as_tensors": "as_tensor",
         "as_sym_ints": "", "as_optional_tensors": ""}
ON_CONSTANTS = {*READ, "unsqueeze", "expand", "lift_fresh_copy", "to", "transpose", "permute", "t", "sqrt", "rsqrt",
                "reciprocal", "select", "slice"}       # what may be computed beforehand: no files, no dice


class Damaged(ValueError):
    """What such an archive never says."""


def is_archive(path: Path) -> bool:
    """Whether a file is one by its contents."""
    return any(name.endswith(f"/{MARK}") for name in _inside(path))


def is_script(path: Path) -> bool:
    """Whether a file is TorchScript, whose ``__setstate__`` torch.jit.load runs."""
    return any("/code/" in name for name in _inside(path))


def _inside(path: Path) -> list[str]:
    """Names of what is in a file, none if it is no zip."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def read(path: Path) -> fx.GraphModule:
    """The network of an archive, which torch.export.save has written.

    Parameters
    ----------
    path : Path

    Returns
    -------
    torch.fx.GraphModule
        As of ``exported.settled``.

    Raises
    ------
    SettingsError
        Its graph cannot be read without running it, or is of another version; the text says what helps.
    Damaged
        It says what none does. Other damage is whatever zipfile, json and torch make of it.
    """
    files = _files(path)
    missing = [name for name in ("models/model.json", *FOLDERS.values()) if name not in files]
    if missing or files.get("byteorder") != b"little":
        raise SettingsError(f"has no {(*missing, 'byteorder of little')[0]}, as torch.export.save of torch 2.13"
                            " writes it; save it again with that")
    module = json.loads(files["models/model.json"])["graph_module"]
    said, signature, graph = module["graph"], module["signature"], _Graph(_tensors(files))
    for spec in signature["input_specs"]:
        graph.take(spec)
    for node in said["nodes"]:
        graph.add(node)
    outputs = [one for one, spec in zip(said["outputs"], signature["output_specs"]) if "user_output" in spec]
    return graph.ended(outputs, said["tensor_values"][graph.shown[0]]["sizes"])


def _files(path: Path) -> dict[str, bytes]:
    """Contents of an archive, without the folder in which all of it lies."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise Damaged("it is compressed")
        if sum(one.file_size for one in members) > path.stat().st_size:
            raise Damaged("its parts are larger than the file")
        return {one.filename.partition("/")[2]: archive.read(one) for one in members}


def _tensors(files: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    """Weights and constants by their names."""
    configs = {kind: json.loads(files[name])["config"] for kind, name in FOLDERS.items()}
    return {name: _tensor(name, files[f"data/{kind}/{payload['path_name']}"], payload)
            for kind, config in configs.items() for name, payload in config.items()}


def _tensor(name: str, content: bytes, payload: Mapping[str, Any]) -> torch.Tensor:
    if payload["use_pickle"]:
        raise SettingsError(f"{name}: is pickled, which is Python that runs as it is read; export the network with"
                            " plain tensors as weights")
    meta = payload["tensor_meta"]
    sizes, strides = (_whole(meta[kind]) for kind in ("sizes", "strides"))
    stored = torch.frombuffer(bytearray(content), dtype=TYPES[meta["dtype"]])
    if math.prod(sizes) > len(stored):
        raise Damaged(f"{name} is larger than what is stored")
    return stored.as_strided(sizes, strides, meta["storage_offset"]["as_int"]).clone()


def _whole(sizes: list[dict[str, int]]) -> list[int]:
    return [size["as_int"] for size in sizes]


@dataclass
class _Graph:
    """A graph that grows.

    Attributes
    ----------
    tensors : dict of str to tensor
        By their names in the network.
    graph : torch.fx.Graph
    made : dict of str to torch.fx.Node
        By the names of values in the archive.
    left_out : dict of str to str
        Operations that are none of ATen's or make several values, by the names of these.
    shown : list of str
        Names of the inputs.
    """

    tensors: Mapping[str, torch.Tensor]
    graph: fx.Graph = field(default_factory=fx.Graph)
    made: dict[str, fx.Node] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def take(self, spec: Mapping[str, Any]) -> None:
        """An input: the images, or a weight."""
        (kind, given), = spec.items()
        if kind == "user_input":
            self.shown.append(given["arg"]["as_tensor"]["name"])
            self.made[self.shown[-1]] = self.graph.placeholder(f"input_{len(self.shown)}")
            return
        target = given.get(f"{kind}_name")
        if kind not in WEIGHTS or not re.fullmatch(r"\w+(\.\w+)*", target):
            raise SettingsError(f"{target or kind}: must be a weight with a plain name, or the images; is {kind}")
        if target not in self.tensors:
            raise Damaged(f"{target} is missing")
        self.made[given["arg"]["name"]] = self.graph.get_attr(target)

    def add(self, node: Mapping[str, Any]) -> None:
        """An operation; one that cannot be read counts only if something takes its value."""
        names = [name for output in node["outputs"] for name in _names(output)]
        operation = _operation(node["target"])
        if operation is None or len(names) != 1:
            self.left_out.update(dict.fromkeys(names, node["target"]))
            return
        first, *rest = [(one["name"], self._value(one["arg"])) for one in node["inputs"]]
        if not {name for name, _ in rest} <= {argument.name for argument in operation._schema.arguments}:
            raise Damaged(f"{node['target']} has no such arguments")        # which would become Python as they are
        made = self.graph.create_node("call_function", operation, (first[1],), dict(rest), named(operation))
        self._check_constant(made)
        self.made[names[0]] = made

    def _check_constant(self, made: fx.Node) -> None:
        """Refuse an operation that would be computed beforehand and is none of the harmless ones."""
        made.meta["shown"] = any(one.op == "placeholder" or one.meta.get("shown") for one in made.all_input_nodes)
        if not made.meta["shown"] and named(made.target).rstrip("_") not in ON_CONSTANTS:
            raise SettingsError(f"{made.target}: computes constants by what no file may ask for; known are {KNOWN}")

    def _value(self, given: Mapping[str, Any]) -> Any:
        """An argument."""
        (kind, found), = given.items()
        if kind in ("as_tensor", "as_name"):
            return self._node(found if kind == "as_name" else found["name"])
        if kind in NUMBERS:
            return NUMBERS[kind](found)
        if kind in LISTS:
            return [self._value({LISTS[kind]: one} if LISTS[kind] else one) for one in found]
        if kind in ("as_sym_int", "as_optional_tensor"):
            return self._value(found)
        raise SettingsError(f"{found}: is an argument of the kind {kind}, which cannot be converted; known are {KNOWN}")

    def _node(self, name: str) -> fx.Node:
        if name in self.left_out:
            kind = self.left_out[name].split(".")[-2]
            raise SettingsError(f"{self.left_out[name]}: cannot be converted; {why_not(kind)}")
        return self.made[name]

    def ended(self, outputs: list[Any], sizes: list[Any]) -> fx.GraphModule:
        """The network with these outputs; `sizes` are those of the images that it was exported with."""
        found = [self._value(one) for one in outputs]
        self.graph.output(found[0] if len(found) == 1 else tuple(found))
        return settled(fx.GraphModule(dict(self.tensors), self.graph), [size.get("as_int") for size in sizes])


def _operation(target: str) -> torch._ops.OpOverload | None:
    """An operation of ATen by its name in an archive; None for any other."""
    *home, name, overload = target.split(".")
    found = getattr(getattr(torch.ops.aten, name, None), overload, None) if home == ["torch", "ops", "aten"] else None
    return found if isinstance(found, torch._ops.OpOverload) else None


def _names(output: Mapping[str, Any]) -> list[str]:
    """Names of the values that an operation makes."""
    (_, found), = output.items()
    return [one for part in (found if isinstance(found, list) else [found]) for one in part.values()]
