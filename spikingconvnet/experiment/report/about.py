"""What a run is made of, and the commands that make it again."""

import shlex
from collections.abc import Iterator
from typing import Any

from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.store.directory import word
from spikingconvnet.training import FLOORS, LocalErrors

MACHINES = {"emulated": " --backend spinnaker", "timed": " --backend spinnaker --timed",
            "hardware": " --backend spinnaker --target HOST"}


def about(held: Held) -> dict[str, Any]:
    """Data set, seed, versions, settings, times and commands: dict for JSON."""
    how, kept = held.train["how"], held.store.results().get("run", {})
    return {"directory": str(held.store.path), "name": held.store.path.resolve().name,
            "data": held.source, "seed": held.settings.seed,
            "images": {name: len(labels) for name, labels in _labels(held).items()},
            "machines": _machines(held), "rules": held.rules,
            "versions": kept.get("versions") or {"spikingconvnet": str(how["version"])},
            "sets": held.store.sets(), "seconds": kept.get("seconds", {}), "settings": settings(held),
            "commands": [{"what": "all of it again, elsewhere", "command": again(held, "runs/again")},
                         {"what": "this page", "command": held.command("report")},
                         {"what": "its figures", "command": held.command("plot")},
                         {"what": "new images", "command": f"{held.command('predict')} --images FOLDER"}]}


def settings(held: Held) -> list[tuple[str, str]]:
    """The settings in force: list of (name, value as text)."""
    return list(_rows("", described(held.settings, {})["settings"]))


def _rows(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Names with dots, as ``--set`` takes them, and values."""
    if isinstance(value, dict):
        if "type" in value:
            yield name, str(value["type"])
        for key, part in value.items():
            if key != "type":
                yield from _rows(f"{name}.{key}" if name else key, part)
    elif isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        for number, part in enumerate(value):
            yield from _rows(f"{name}.{number}", part)
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _labels(held: Held) -> dict[str, Any]:
    return {"train": held.train["labels"], **({} if held.split == "train" else {held.split: held.data["labels"]})}


def _machines(held: Held) -> list[str]:
    """Where the layers were trained, each once."""
    return list(dict.fromkeys(str(layer["how"]["made_on"]) for layer in held.layers))


def again(held: Held, directory: str, rule: str | None = None) -> str:
    """The command that makes the same run in another directory; with `rule` the same but for how kernels are found."""
    arch, rules = held.train["how"].get("arch"), {rule} if rule else set(held.rules)
    words = [held.program, "--mode demo", f"--parameters {word(held.store.parameters())}"]
    words += [f"--set {shlex.quote(f'{name}={value}')}" for name, value in held.store.sets().items()]
    words.append(f"--source {word(held.source)}")
    words += [f"--seed {held.settings.seed}"] if "SEED" not in held.store.sets() else []
    words += [f"--arch {shlex.quote(arch)}"] if arch else []
    if held.settings.rule is None and len(rules) == 1 and rules & {LocalErrors.name, *FLOORS}:
        words.append(f"--rule {rules.pop()}")
    machine = MACHINES.get("".join(_machines(held)[:1]), "")
    return " ".join(words) + f"{machine} --run-dir {directory}"
