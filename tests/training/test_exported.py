"""Networks that torch.export has made graphs of, in memory and in archives: the units of the modules themselves."""

import json
import runpy
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from spikingconvnet.errors import SettingsError  # noqa: E402
from spikingconvnet.training.chain.gradients import exported, files, relu  # noqa: E402

nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
bench = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "torch_networks.py")))
REFUSED = {"largest of pools": "max_pool2d: cannot be converted; use AvgPool2d",
           "LeakyReLU": "leaky_relu: cannot be converted; use ReLU"}


def program_of(network, images=2, shape=(1, 28, 28), free=False):
    shown = torch.rand(images, *shape, dtype=next(network.parameters()).dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network, (shown,), dynamic_shapes=({0: torch.export.Dim("n")},) if free else None)


def saved(program, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)
    return path


def same(ours, theirs):
    (units, model), (others, other) = ours, theirs
    assert (model.input_shape, repr(model.layers)) == (other.input_shape, repr(other.layers))
    for one, two in zip(units, others, strict=True):
        assert one.ceiling == two.ceiling
        for a, b in zip((one.kernels, one.bias, *one.shortcuts), (two.kernels, two.bias, *two.shortcuts), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", bench.NETWORKS)
def test_an_exported_network_has_the_units_of_the_module(name, tmp_path):
    torch.manual_seed(0)
    network = bench.as_used(name, bench.NETWORKS[name]())
    program = program_of(network, free=name in ("functional", "vgg"))
    file = files.loaded(saved(program, tmp_path / "net.pt2"))
    if name in REFUSED:
        for one in (program, file):
            with pytest.raises(SettingsError, match=REFUSED[name]):
                relu.weights_of(one, (1, 28, 28))
        return
    expected = relu.weights_of(network, (1, 28, 28))
    same(relu.weights_of(program, (1, 28, 28)), expected)
    same(relu.weights_of(file, (1, 28, 28)), expected)


class Several(nn.Module):
    """What an archive keeps in other places: constants, a buffer that is not kept, sizes, padding, ceilings."""

    def __init__(self):
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(16, 3)
        self.register_buffer("mean", torch.tensor([0.1, 0.2]), persistent=False)

    def forward(self, x):
        """Answers (n, 3)."""
        x = (x - self.mean[None, :, None, None]) / torch.tensor([2.0, 4.0]).reshape(2, 1, 1)
        x = nn.functional.dropout(self.norm(self.one(x)), 0.5, self.training).clamp(0, 2)
        x = nn.functional.avg_pool2d(x, 2)
        return nn.functional.softmax(self.two(x.reshape(x.shape[0], -1)), dim=-1)


@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("train", [False, True])
def test_what_is_exported_while_it_trains_is_read_as_in_evaluation(images, train, tmp_path):
    torch.manual_seed(1)
    network = Several()
    network(torch.rand(50, 2, 6, 6))
    expected = relu.weights_of(network, (2, 6, 6))
    program = program_of(network.train(train), images, (2, 6, 6))
    same(relu.weights_of(program, (2, 6, 6)), expected)
    found = files.loaded(saved(program, tmp_path / "net.pt2"))
    same(relu.weights_of(found, (2, 6, 6)), expected)
    assert exported.image_of(found) == (2, 6, 6) and exported.image_of(network) is None
    inputs = torch.rand(60, 2, 6, 6)
    for ours, theirs in zip(relu.answers_of(found, inputs), relu.answers_of(network, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_an_archive_may_be_named_as_any_file_of_torch(tmp_path):
    saved(program_of(Several().eval(), 2, (2, 6, 6)), tmp_path / "net.pt2").rename(tmp_path / "net.pt")
    assert relu.weights_of(files.loaded(tmp_path / "net.pt"), (2, 6, 6))[1].shapes[-1] == (3, 1, 1)
    with pytest.raises(SettingsError, match="net.pt: has its network and weights; cannot be given"):
        files.loaded(tmp_path / "net.pt", "nets:Net")


def test_an_image_without_a_batch_is_refused(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 4)).eval()
    program = torch.export.export(network, (torch.rand(1, 6, 6),))
    for one in (lambda: relu.weights_of(program, (1, 6, 6)),
                lambda: files.loaded(saved(program, tmp_path / "net.pt2"))):
        with pytest.raises(SettingsError, match="was exported for an input of 3 axes"):
            one()


def test_a_decomposed_program_is_refused_with_what_helps(tmp_path):
    program = program_of(Several().eval(), 2, (2, 6, 6)).run_decompositions()
    for one in (lambda: relu.weights_of(program, (2, 6, 6)),
                lambda: relu.weights_of(files.loaded(saved(program, tmp_path / "net.pt2")), (2, 6, 6))):
        with pytest.raises(SettingsError, match="without run_decompositions"):
            one()


# ---------------------------------------------------------------- files that mean harm

@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive, and a folder in which nothing must come to be."""
    monkeypatch.chdir(tmp_path)
    return saved(program_of(Several().eval(), 2, (2, 6, 6)), tmp_path / "net.pt2")


def changed(path, change):
    """Write an archive again with its files changed: a dict of name to bytes."""
    with zipfile.ZipFile(path) as old:
        found = {name: old.read(name) for name in old.namelist()}
    change(found)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in found.items():
            new.writestr(name, content)


def spoken(name, change):
    """A change of what a JSON in an archive says."""
    def found(parts):
        full = next(one for one in parts if one.endswith(name))
        said = json.loads(parts[full])
        change(said)
        parts[full] = json.dumps(said).encode()
    return found


def of_graph(change):
    return spoken("models/model.json", lambda said: change(said["graph_module"]))


def conv(module):
    return next(node for node in module["graph"]["nodes"] if node["target"].endswith("conv2d.default"))


RUN = "__import__('pathlib').Path('ran').touch()"


def renamed_weight(module):
    spec = next(one["parameter"] for one in module["signature"]["input_specs"] if "parameter" in one)
    spec["parameter_name"] = f"x\", {RUN}) or (\"y"


def reads_a_file(module):
    """A constant that is what stands in a file, or is written to one."""
    module["graph"]["nodes"].insert(0, {
        "target": "torch.ops.aten.from_file.default", "metadata": {}, "outputs": [{"as_tensor": {"name": "made"}}],
        "inputs": [{"name": "filename", "arg": {"as_string": "ran"}}, {"name": "shared", "arg": {"as_bool": True}},
                   {"name": "size", "arg": {"as_int": 4}}]})
    conv(module)["inputs"][2]["arg"] = {"as_tensor": {"name": "made"}}


@pytest.mark.parametrize("change, text", [
    (of_graph(lambda module: conv(module).update(target="torch.ops.aten.__class__.mro")), "cannot be converted"),
    (of_graph(lambda module: conv(module).update(target="os.system")), "os.system: cannot be converted"),
    (of_graph(lambda module: conv(module).update(target="torch.ops.higher_order.cond.x")), "cannot be converted"),
    (of_graph(lambda module: conv(module)["inputs"][2].update(name=f"bias={RUN}, x")), "no such arguments"),
    (of_graph(renamed_weight), "must be a weight with a plain name"),
    (of_graph(reads_a_file), "from_file.default: computes constants by what no file may ask for"),
    (of_graph(lambda module: conv(module)["inputs"][1].update(arg={"as_operator": RUN})), "of the kind as_operator"),
    (spoken("weights_config.json", lambda said: said["config"]["one.bias"].update(use_pickle=True)), "is pickled"),
    (spoken("weights_config.json", lambda said: said["config"]["one.bias"]["tensor_meta"].update(
        sizes=[{"as_int": 10 ** 12}], strides=[{"as_int": 0}])), "larger than what is stored"),
    (spoken("weights_config.json", lambda said: said["config"].pop("one.bias")), "one.bias is missing"),
    (lambda parts: parts.update({"net/models/model.json": b"{" * 10_000}), "cannot be read"),
    (lambda parts: parts.pop("net/byteorder"), "has no byteorder of little"),
    (lambda parts: parts.pop("net/models/model.json"), "has no models/model.json")])
def test_an_archive_that_was_changed_is_a_sentence_and_runs_nothing(archive, change, text):
    changed(archive, change)
    with pytest.raises(SettingsError, match=f"net.pt2: .*{text}"):
        relu.weights_of(files.loaded(archive), (2, 6, 6))
    assert not Path("ran").exists()


def test_sample_inputs_are_not_looked_at(archive):
    pickled = b"cos\nsystem\n(S'touch ran'\ntR."
    changed(archive, lambda parts: parts.update({"net/data/sample_inputs/model.pt": pickled}))
    relu.weights_of(files.loaded(archive), (2, 6, 6))
    assert not Path("ran").exists()


def test_an_archive_that_is_cut_or_compressed_is_damaged(archive):
    content = archive.read_bytes()
    archive.write_bytes(content[:len(content) // 2])
    with pytest.raises(SettingsError, match="net.pt2: cannot be read, it is damaged"):
        files.loaded(archive)
    archive.write_bytes(content)
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile("small.pt2", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(SettingsError, match="small.pt2: cannot be read.*compressed"):
        files.loaded("small.pt2")


class Scripted(nn.Module):
    """Writes a file when it is read."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same."""
        return x

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = state
        torch.save(torch.zeros(1), "ran")


def test_torchscript_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(Scripted()), "net.pt")
    with pytest.raises(SettingsError, match=r"net.pt: is TorchScript, whose code runs.*torch.export.save\("):
        files.loaded("net.pt")
    assert not Path("ran").exists()
    torch.jit.load("net.pt")
    assert Path("ran").exists()
