"""What settings, results, images and jobs are made of and say: kept, see ``helpers/outputs.py``."""

import io
import json
import math
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from outputs import Outputs, refused

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.data.images import ImageSet
from spikingconvnet.data.sources_labels import Found
from spikingconvnet.experiment import loading, results, settings
from spikingconvnet.experiment.jobs import archive, collect, sent
from spikingconvnet.gates import sizes
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.store.directory import RunDirectory

CASES = Outputs("runs")
CELL = IFCurrDelta()


def rng():
    return np.random.default_rng(128)


def chain(**more):
    model = Sequential((1, 6, 6), Conv2D(2, 3), AvgPool2D(2), Dense(3), Classifier(1))
    return settings.Settings(**{"dataset": "none/there", "image_filter": Intensity(),
           "encoder": LatencyEncoder(n_steps=5),
                                "slot": 8, "model": model, "classes": (0, 1, 2), **more})


def one(*end, **more):
    model = Sequential((1, 6, 6), Conv2D(2, 3, neuron=CELL), Dense(3, neuron=CELL), *(end or (SpikeCount(),)))
    return chain(**{"model": model, **more})


def shown(given):
    return [given.classes, given.free, given.source, given.is_open, [given.leaves(name) for name in settings.LEFT],
            given.seed, given.slot, given.size, given.white, str(given.dataset)]


@CASES
def settings_that_fit_or_not():
    values = {"dataset": (5, "", "a\0b", "http://u:p@x/y", Path("a")), "n_train": (0, -1, None, 1.0, 5),
    "n_validation": (
        None, 0, -1), "n_test": (None, 0, True), "classes": (None, (), [1, 2], {2, 1}, range(3), range(1), range(1000),
        range(
            1001), (1, 1.5), np.arange(2), 5), "per_class": (1, True), "seed": (-1, 0, 1 << 32, (1 << 32) - 1, 1.0),
            "reset": (
                True, 0), "white": (0, 1, -1, None, "1", math.inf), "size": ((1, 1), (0, 1), (4096, 1), (4097, 1), [2,
                3], (
                    1,), 5), "slot": (5, 6, 0, 1.5, 429_496, 429_497), "free": (("shape",), ("x",), ["shape"],
                    ("counts",)),
              "image_filter": (Intensity, 5, None), "encoder": (LatencyEncoder, LatencyEncoder(n_steps=7),
              LatencyEncoder(
                  n_steps=8), 5), "deformation": (Deformation(), 5, Deformation), "rule": (5, SpikeCount()), "model": (
                      5, Sequential(Conv2D(2, 3), Classifier()), Sequential((2, 6, 6), Conv2D(2, 3), Classifier()),
                      Sequential(
                          (1, 6, 6), AvgPool2D(2)), Sequential((1, 6, 6), Conv2D(2, 3)))}

    def tried(name, value):
        with patch.object(sizes, "memory", lambda: 1 << 33):
            return str(refused(lambda: shown(chain(**{name: value}))))[:300].partition(", got")[0]
    found = [[name, [tried(name, value) for value in some]] for name, some in values.items()]
    whole = ({}, {"reset": True}, {"deformation": Deformation()}, {"classes": (0, 1)}, {"classes": ()}, {"rule": 5})
    return [found, [refused(lambda more=more: shown(one(**more))) for more in whole],
            [refused(lambda end=end: shown(one(end))) for end in (SpikeCount(2, 8), SpikeCount(2, 9), Membrane(8))],
            shown(chain(classes=()).with_seed(7)), shown(chain(free=("counts", "shape"))),
            shown(chain().with_seed(None))]


@CASES
def settings_of_files():
    begin = ("from spikingconvnet import (Classifier, Conv2D, IFCurrExp, Intensity, LatencyEncoder, STDPMechanism,\n"
             "Sequential)\nDATASET = 'd'\nFILTER = Intensity()\nSLOT = 8\n"
             "ENCODER = LatencyEncoder(n_steps=5)\n"
             "MODEL = Sequential((1, 6, 6), Conv2D(2, 3), Classifier(1))\n")
    texts = ("SEED = 3\nCLASSES = (1, 2)\n", "SEDE = 3\n", "seed = 3\n", "SEED = -1\n", "1 / 0\n",
             "raise SystemExit(3)\n",
             "x = (\n", "OWN = IFCurrExp()\n", "OWN = IFCurrExp()\nOTHER = OWN\n", "_HIDDEN = 5\n",
             "RULE = STDPMechanism()\n",
             "def f():\n    SEDE = 1\n", "raise ValueError('')\n", "WHITE = 0\n", "SLOT = 4\n",
             "N_TRAIN = 5; SIZE = (6, 6)\n",
             "DATASET = 'http://u:p@x/'\n", "XYZ = 5\n", "classes = 3\nprint(classes)\n")
    found = []
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "p.py"

        def load(text):
            path.write_text(text)
            given = refused(lambda: shown(settings.load(path)))
            return given.replace(made, "DIR").partition("; known are")[0] if isinstance(given, str) else given
        found += [load(begin + text) for text in texts]
        found += [load(begin.replace(name, "_" + name)) for name in ("DATASET", "FILTER", "MODEL")]
        real, settings.LARGEST_FILE = settings.LARGEST_FILE, len(begin) + 1
        found += [isinstance(load(begin + text), str) for text in ("#", "##")]
        settings.LARGEST_FILE = real
        (Path(made) / "d").mkdir()
        found.append([shown(settings.load(path))[-1].replace(made, "DIR"), refused(
            settings.load, path.with_name("q.py")).replace(made, "DIR")])
        given = chain(seed=5, n_train=7, per_class=True, size=(6, 6), white=2.0)
        settings.save(given, path.with_suffix(".toml"))
        found += [path.with_suffix(".toml").read_text(), repr(settings.load(path.with_suffix(".toml"))) == repr(given),
                  settings.as_tables(chain(classes=(), free=("counts", "shape")))]
    return found


@CASES
def results_and_their_digests():
    found = []
    with tempfile.TemporaryDirectory() as made:
        for given, machine in ((chain(), "local"), (chain(arch="a", white=3.0, size=(6, 6), deformation=Deformation(
                copies=1)), "emulated"), (one(), "local"), (one(Membrane(1, 7)), "spinnaker"), (chain(
                    dataset="http://x/y", free=("counts",)), "local"), (one(), "hardware")):
            kept = results.Results(given, RunDirectory(Path(made) / "r x"), machine, "PROGRAM",
                                   "--more" * (machine != "local"))
            kept.content = lambda number: f"content {number}"
            data, last = {"content": np.array("c")}, len(given.model.stages)
            made_of = [kept.data("train"), kept.data("test"), *(kept.layer(n) for n in range(1, last + 1)),
                       kept.layer(1, "x"),
                       *kept.spikes(1, "train", data, 130)]
            made_of += [kept.classifier(), kept.head(), *kept.counts(last, "test", data, 65, (1, 1)), *kept.winners(
                "test", data, 61)] if not given.model.runs_as_one else kept.answers("test", data, 61)
            found.append([[item.name, item.made_from(), item.command.replace(made, "DIR"), item.schema.sizes,
            item.is_there()
                           if item.name[:4] != "data" else None] for item in made_of])
            found.append([kept.command("loaddata").replace(made, "DIR"), kept.command("x", 3).replace(made, "DIR"),
                          {**kept.how(), "version": ""}, {**kept.how({"verdict": "valid"}, more=1), "version": ""}])
            kept.noted({"how": {"board": {"verdict": "valid"}}})
            kept.noted({"how": {}})
            kept.keep_entry("layer 1", {"rule": "stdp"})
            found.append([sorted(kept.verdicts), kept.entries()])
    return found


@CASES
def data_that_is_read():
    found = []
    with tempfile.TemporaryDirectory() as made:
        for given, more in ((chain(), {}), (chain(model=Sequential(Conv2D(2, 3), Classifier(1))), {}),
            (chain(model=Sequential(
                (1, 5, 6), Conv2D(2, 3), Classifier(1))), {}), (chain(), {"neurons": np.zeros(0, np.uint16),
                "counts": np.zeros(
                    8, np.uint16)}), (chain(), {"labels": np.zeros(0, int), "neurons": np.zeros(0, np.uint16),
                                                "counts": np.zeros(0, np.uint16)})):
            kept = results.Results(given, RunDirectory(Path(made)))
            arrays = {"shape": np.array([1, 6, 6]), "n_steps": np.array(8), "counts": np.array([1, 0, 2, 0, 0, 0, 0,
            0], np.uint16),
                      "neurons": np.array([3, 1, 2], np.uint16), "labels": np.array([1]), "images": np.zeros((0, 1, 1),
                      np.uint8),
                      **more}
            offsets = np.concatenate([[0], np.cumsum(arrays["counts"], dtype=np.int64)])
            item = kept.data("train")
            item.write(kept.how(), **arrays, content=np.array(results.digest(offsets, arrays["neurons"])))
            text = refused(lambda item=item: {name: value for name, value in item.read().items() if name != "how"})
            found.append([text.replace(made, "DIR") if isinstance(text, str) else text, item.is_there()])
            found.append(str(refused(kept.content, 0)).replace(made, "DIR"))
    return found


def test_a_missing_result_is_none_and_another_model_an_error():
    def fails(error):
        raise error("x")
    assert results.if_there(fails, results.StoreError) is None
    with pytest.raises(results.ModelChanged):
        results.if_there(fails, results.ModelChanged)
    assert results.if_there(lambda value: value, 5) == 5


@CASES
def images_of_settings():
    images, labels = rng().integers(0, 256, (12, 6, 6)).astype(np.uint8), (np.arange(12) % 3).astype(np.uint8)
    parts = Found(ImageSet(images, labels), ImageSet(images[:6], labels[:6]))
    found = []
    for more in ({}, {"n_train": 4, "n_validation": 2, "n_test": 3}, {"n_train": 1, "n_test": 1, "per_class": True}, {
            "size": (4, 4), "model": Sequential((1, 4, 4), Conv2D(2, 3), Classifier(1))}, {"size": (4, 4)},
            {"white": 300.0}, {
                "n_train": 99}, {"classes": (0, 1)}, {"classes": (0, 7)}, {"n_train": 1}):
        made = loading.Images(chain(**more), Path("d"))
        made.found = lambda: parts

        def encoded(made=made):
            return {name: [part.labels, part.images.sum(), spikes]
                    for name, (part, spikes) in made.encoded(rng(), parts).items()}
        found.append([refused(encoded), refused(lambda made=made: made.values("train")), refused(
            lambda made=made: made.everything().labels), refused(lambda made=made: next(
                (part["spikes"], part["labels"]) for part in made.deformed(np.array([1, 0]), Deformation(copies=2)))),
            made.events()])
    real, loading.AT_ONCE = loading.AT_ONCE, 5
    try:
        made = loading.Images(chain(), Path("d"))
        made.found = lambda: parts
        found.append(made.values("test")[0])
    finally:
        loading.AT_ONCE = real
    return [found, loading.with_spikes(chain().model, "train") > 1 << 60, [loading.with_spikes(one().model, name)
                                                                          for name in ("train",)]]


@CASES
def tasks_and_differences():
    asked = (sent.Task(), sent.Task(count=1500), sent.Task(first=1000), sent.Task("", "validation", 5, 2000),
             sent.Task(2),
             sent.Task(None, "validation", 3, 4), sent.Task(network=True), sent.Task(conformance=True))
    a = np.arange(6.0).reshape(2, 3)
    b = a.copy()
    b[1, 1:] += 1.5
    fake = SimpleNamespace(model=chain().model)
    as_one = SimpleNamespace(model=one().model)
    parts = {"test-a": (0, 10, 0.5), "test-b": (5, 10, 1.0), "test-c": (10, 10, 1.0), "test-d": (0, 6, 0.0),
    "validation-a": (
        0, 3, None), "other": (0, 4, 1.0)}
    entries = {collect.HARDWARE: {name: {"task": {"first": first}, "images": n, "accuracy": share}
                                  for name, (first, n, share) in parts.items()}, "svm": {}}

    def kept(entries):
        def results_of(check):
            for name, entry in entries.items():
                check(name, entry)
            return entries
        return SimpleNamespace(store=SimpleNamespace(results=results_of))
    wrong = ({"images": 0}, {"accuracy": 1.5}, {"task": 5}, {"task": {"first": -1}}, {"images": 1, "accuracy": 0,
             "task": {
        "first": 0}})
    return [[[str(item), item.as_dict()] for item in asked], [refused(sent._below, item, sent.Task(layer)) for item in (
        fake, as_one) for layer in (None, 0, 1, 2, 3)], [collect._difference("n", *pair) and str(collect._difference(
            "n", *pair)) for pair in ((a, a), (a, b), (b, a), (a, a[:1]))], collect._difference("n", a, b),
            [collect.together(kept(entries), name) for name in ("test", "validation", "none")],
            [refused(collect.together, kept({collect.HARDWARE: {"test-x": {
                "task": {"first": 0}, "images": 1, "accuracy": None, **more}}}), "test") for more in wrong],
            [collect._told(why) for why in (None, {"text": "a\nfirst difference x\nb\ncause y"})],
            [collect._accuracy(SimpleNamespace(data=lambda split: {"labels": np.array([1, 2, 3, 4])}), sent.Task(
                first=first), given) for first in (0, 2) for given in (None, np.array([1, 4]), np.array([3, 4]))],
            collect._predicted(SimpleNamespace(model=one().model, classes=lambda: np.array([4, 6, 8])), {
                "units": np.array([[0, 2], [1, 1]])}), collect._predicted(SimpleNamespace(
                    model=chain().model, has_svm=lambda: False), {})]


@CASES
def archives_of_jobs():
    with tempfile.TemporaryDirectory() as made:
        run, path = Path(made) / "run", Path(made) / archive.RESULTS
        names = ("features/test-000.npz", "features/train-000.npz", "answers/test-000.npz", "found/a.npz",
                 "layers/1.npz",
                 "layers/1-unfinished.npz", "layers/2.npz", "spinnaker/" + archive.LOG, "features/test-0.txt")
        for name in names:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(name.encode())
        tasks = sent.Task(), sent.Task(1), sent.Task(3), sent.Task(split="validation"), sent.Task(conformance=True),
        sent.Task(
            network=True)
        found = [[sorted(str(item.relative_to(run)) for item in archive.found(run, task)) for task in tasks]]
        about = {"format": 1, "task": sent.Task().as_dict(), "versions": {"sPyNNaker": archive.RELEASE}, "bundle": "b"}

        def said(*given):
            text = refused(*given)
            return text.replace(made, "DIR").partition(" (")[0] if isinstance(text, str) else text
        for state, error, release in (("done", None, archive.RELEASE), ("done", None, "1"), ("at work", None, ""), (
                "failed", "E", "")):
            archive.write_archive(run, path, {**about, "versions": {"sPyNNaker": release}}, state, error)
            read = archive.read_archive(Path(made))
            found.append([sorted(read.files), read.why().replace(made, "DIR"), read.task.as_dict()])
        read.files.pop(archive.LOG)
        found.append(read.why())
        read.unpack(Path(made) / "other")
        found.append(sorted(item.name for item in (Path(made) / "other").rglob("*.*")))
        whole = json.loads(zipfile.ZipFile(path).read(archive.MANIFEST))
        task = whole["task"]
        changes = ({}, {"format": 2}, {"task": 5}, {"task": {}}, {"files": []}, {"files": {"a/b.npz": "x"}}, {"files": {
            "layers/1.npz": 5}}, {"versions": 5}, {"bundle": None}, {"state": "a\n"}, {"error": 5}, {"error": None}, *(
                {"task": {**task, name: value}} for name, value in (
                    ("split", "train"), ("split", "validation"), ("copies", 0), ("copies", 1000), ("copies", 1001), (
                        "network", 1), ("first", -1), ("first", 1 << 31), ("first", (1 << 31) + 1), ("count", 0), (
                            "count", 1), ("count", None), ("layer", 1 << 31), ("layer", (1 << 31) + 1), ("time_scale",
                            0))))
        found.append([said(lambda more=more: sorted(archive._checked({**whole, **more}, "P"))) for more in changes])
        found.append([[name, archive._is_name(name)] for name in (
            archive.LOG, "layers/1.npz", "layers/1-a.npz", "layers/.npz", "x/1.npz", "layers/1.txt", "layers/a/1.npz",
            "layers/../1.npz", "found/a_b.npz")])

        def rewritten(files):
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as file:
                for name, data in files.items():
                    file.writestr(name, data)
            path.write_bytes(content.getvalue())
            return said(lambda: sorted(archive.read_archive(path).files))
        files = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
        found += [rewritten(files), rewritten({}), rewritten({"a": b"", "b": b"", "c": b"", "d": b""}), rewritten(
            {**files, "found/a.npz": b"x"}), rewritten({archive.MANIFEST: files[archive.MANIFEST]}), rewritten(
                {**files, "more.npz": b"x"}), rewritten({**files, archive.MANIFEST: b"[]"})]
        real = archive.MOST_BYTES
        for archive.MOST_BYTES in (sum(map(len, files.values())) - late for late in (0, 1)):
            found.append(rewritten(files))
        archive.MOST_BYTES = real
        path.write_bytes(b"PK")
        found += [said(archive.read_archive, path), said(archive.read_archive, Path(made) / "none")]
    return found


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
