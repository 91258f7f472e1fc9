"""Altered results of jobs given to ``--mode collect``: the zip, its manifest, a result in it, old and new checksums."""

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np

from attacks import altered, flows, small
from attacks.harness import Case, command

DIFFERS = 8
REFUSED = 2, 5, 9           # settings, what is there, the system


def prepare(directory):
    """A finished run, and the results of two jobs made of it, the local engine in the place of a board."""
    run = small.run(directory)
    if flows.forked(_bring, directory, run):
        raise RuntimeError("no results could be made")
    return run


def _bring(directory, run):
    from spikingconvnet.backends import get_backend
    from spikingconvnet.experiment import settings
    from spikingconvnet.experiment.experiment import Experiment
    from spikingconvnet.experiment.jobs import collect
    from spikingconvnet.experiment.jobs.archive import DONE, FORMAT, RELEASE, write_archive
    from spikingconvnet.experiment.jobs.sent import Task, fingerprint, prepared

    experiment = Experiment(settings.load(Path(directory) / "parameters.py"), run, jobs=1)
    for name, task in (("layer", Task(layer=1)), ("test", Task())):
        folder = Path(directory) / name
        there = collect._Board(prepared(experiment, folder / "run", task), folder / "run")
        vars(there.runner).update(backend=get_backend("local"), backend_name="local", options={})
        there.train_layer(1) if task.layer else there.features(task.split)
        about = {"format": FORMAT, "task": task.as_dict(), "bundle": fingerprint(there, task),
                 "versions": {"spikingconvnet": "0.1.0", "sPyNNaker": RELEASE, "python": "3.11"}}
        write_archive(folder / "run", Path(directory) / f"{name}.zip", about, DONE)


def case(run, rng, where):
    """One alteration of the results of one job, collected into a copy of the run."""
    name, kind = str(rng.choice(("layer", "test"))), str(rng.choice(("zip", "manifest", "result", "result", "members")))
    path, kept = where / f"{name}.zip", where / "run"
    shutil.copy(run.parent / f"{name}.zip", path)
    shutil.copytree(run, kept)
    others = [run.parent / "layer.zip", run.parent / "test.zip", run / "layers/1.npz"]
    told, strict = altered.raw(path, rng, others) if kind == "zip" else _inside(path, kind, rng, others)
    before = path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 30 else b""

    def judge(outcome):
        if outcome.code not in (0, DIFFERS, *REFUSED):
            return f"ends with {outcome.code}"
        whole = before in [(run.parent / f"{each}.zip").read_bytes() for each in ("layer", "test")]     # of this run
        if strict and outcome.code == 0 and not whole and not _same(run.parent / f"{name}.zip", path):
            return "taken for good, though it was altered"
        return None

    return Case(f"{name}.zip: {told}", command("--mode", "collect", path, "--run-dir", kept, "--jobs", 1), judge)


def _inside(path, kind, rng, others):
    """Alter the manifest, a result, or which members there are."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    results = [name for name in files if name.endswith(".npz")]
    name, strict = str(rng.choice(results)), True
    if kind == "manifest":
        text = altered.mutated_json(files["manifest.json"].decode(), rng)
        files["manifest.json"], told, strict = text.encode(errors="surrogatepass"), f"manifest {text[:80]!r}", False
    elif kind == "members":
        told = str(rng.choice(("gone", "renamed", "../out", "exchanged", "more")))
        if told == "more":
            files["layers/2.npz"], strict = files[name], False
        elif told == "exchanged":
            other = str(rng.choice(results))
            files[name], files[other] = files[other], files[name]
        else:
            content = files.pop(name)
            files |= {} if told == "gone" else {f"../{name}" if told == "../out" else f"{name}x": content}
    else:
        one = path.with_suffix(".npz")
        one.write_bytes(files[name])
        told, strict = (altered.arrays if rng.random() < 0.8 else altered.raw)(one, rng, others)
        files[name] = one.read_bytes() if one.is_file() and one.stat().st_size < 1 << 30 else b""
        strict &= files[name] != others[-1].read_bytes()        # the run's own layer is what the job has to bring
    if rng.random() < 0.6 and kind != "manifest":           # checksums of the altered files
        about = json.loads(files["manifest.json"])
        about["files"] = {each: hashlib.sha256(files[each]).hexdigest() for each in files if each.endswith(".npz")}
        files["manifest.json"], told = json.dumps(about).encode(), f"{told}, checksums made anew"
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)
    return f"{kind}: {told}", strict


def _same(one, other):
    """Whether two zips hold the same results, whatever else differs."""
    try:
        with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
            names = [name for name in first.namelist() if name.endswith(".npz")]
            return all(_arrays(first, name) == _arrays(second, name) for name in names)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, EOFError):
        return False


def _arrays(archive, name):
    """Members of an .npz in a zip; what stands in front of it is nothing to a reader of zips."""
    with zipfile.ZipFile(io.BytesIO(archive.read(name))) as found:
        named = {key.removesuffix(".npy"): _values(found.read(key)) for key in found.namelist()}      # either is read
    named.pop(altered.SEAL, None)
    return named


def _values(member):
    """What an array is, in whichever order its numbers lie in the file; bytes of what is none."""
    try:
        array = np.load(io.BytesIO(member), allow_pickle=False)
        return array.dtype.str, array.shape, array.tobytes()
    except (ValueError, OSError, EOFError):
        return member
