"""Which parameters a command uses, and the experiment that they make."""

import shlex
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import spikingconvnet
from spikingconvnet.cli import unused
from spikingconvnet.cli.messages import program, say
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import binding, overrides, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import shorthand
from spikingconvnet.store import schemas
from spikingconvnet.store.directory import PARAMETERS, RunDirectory, same_file, word

BROUGHT = Path(spikingconvnet.__file__).parent / "experiment"       # parameters files that come with the package
TEMPLATE, RECIPES = BROUGHT / "template.py", BROUGHT / "recipes"
FOLDER, ADDRESS = "data/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"     # of MNIST's four files
WHOLE = tuple(sorted({path.stem.partition("-")[0] for path in RECIPES.glob("*.py")}))   # rules that bring parameters
NEW = ("loaddata", "demo", "sweep")         # modes that may begin a run


def parameters_file(options: Namespace, store: RunDirectory) -> Path:
    """The file to use: the one named; for a new run the one here; to go on, the one that the run was loaded with.

    Where there is none, that of the demo, which comes with the package.

    A rule that brings parameters, but none for the data set asked for, is a SettingsError.
    """
    if options.parameters:
        return Path(options.parameters)
    if begins(options) and options.rule in WHOLE:
        return recipe(options.rule, options.dataset)
    here, kept = _here(), store.parameters()
    if (options.mode in NEW and here.is_file()) or not kept.is_file():
        return here if here.is_file() else TEMPLATE
    if here.is_file() and (found := unused.found(kept, here)):
        again = f"{program()} --mode loaddata --run-dir {word(store.path)}{_source_of(store)}"
        say(unused.text(kept, here, found, again))
    return kept


def _source_of(store: RunDirectory) -> str:
    """`` --source X``, if a run was loaded with one: then, and only then, counts were left to the data set."""
    how = store.how("data/train")
    return f" --source {word(how['source'])}" if "n_train" in (how.get("bound") or {}) else ""


def begins(options: Namespace) -> bool:
    """Whether a command needs no run that was loaded before."""
    return options.mode in NEW or bool(options.cv or options.dataset)


def _here() -> Path:
    """The parameters file of the current directory, whether it is there or not."""
    there = [path for path in map(Path, PARAMETERS) if path.is_file()]
    if len(there) > 1:
        raise SettingsError(f"{' and '.join(PARAMETERS)}: are both here; name one of them with --parameters")
    return (there or [Path(PARAMETERS[0])])[0]


def recipe(rule: str, dataset: str | None) -> Path:
    """The parameters file that a rule brings with it: its first one, or that for a data set, or a SettingsError."""
    first = RECIPES / f"{rule}.py"
    if dataset is None:
        return first
    found = {Path(settings.load(path).dataset).name: path for path in (first, *RECIPES.glob(f"{rule}-*.py"))}
    if dataset not in found:
        raise SettingsError(f"--dataset {dataset}: --rule {rule} has parameters for {', '.join(sorted(found))};"
                            " write others and name them with --parameters")
    return found[dataset]


def kept_options(path: Path, options: Namespace) -> str:
    """Options that say which experiment is meant, so that a command in an error text means the same one."""
    words = [] if path in (*map(Path, PARAMETERS), TEMPLATE) else [f"--parameters {word(path)}"]
    given = [("--seed", options.seed), ("--arch", options.arch), *(("--set", one) for one in options.set or ())]
    return " ".join([*words, *(f"{name} {shlex.quote(str(value))}" for name, value in given if value is not None)])


def sets_in_force(path: Path, options: Namespace, store: RunDirectory) -> dict[str, str]:
    """Values of ``--set`` by name: those that a run was loaded with, if its parameters are used, and those given."""
    kept = store.sets() if _is_of_run(path, options, store) else {}
    return {**kept, **overrides.parted(options.set or ())}


def _is_of_run(path: Path, options: Namespace, store: RunDirectory) -> bool:
    """Whether a parameters file is the one that a run keeps, or one that goes on with a run that keeps none yet."""
    kept = store.parameters()
    return same_file(path, kept) or not (begins(options) or kept.is_file())


def _is_loaded_with(path: Path, options: Namespace, store: RunDirectory) -> bool:
    """The same, or whether it is what the run's own is a copy of, for commands that cannot be given a ``--source``."""
    kept = store.parameters()
    return _is_of_run(path, options, store) or (not begins(options) and path.is_file() and kept.is_file()
                                                and path.read_bytes() == kept.read_bytes())


def with_overrides(loaded: settings.Settings, path: Path, options: Namespace, store: RunDirectory) -> settings.Settings:
    """Settings with the command line's values, seed, source and architecture, or those that the run was loaded with.

    Raises
    ------
    SettingsError
        An architecture, but no rule that trains all layers at once; or one that cannot be used, see ``shorthand``.
        A value of ``--set`` that cannot be used, see ``overrides``.
    """
    how = store.how("data/train", schemas.data("train")) if _is_loaded_with(path, options, store) else {}
    kept = how if _is_of_run(path, options, store) else {}
    given, sets = overrides.parted(options.set or ()), sets_in_force(path, options, store)
    loaded = overrides.changed(loaded, sets)
    seed = loaded.seed if "SEED" in given else kept.get("seed")
    source = loaded.dataset if "DATASET" in given else how.get("source") or _address(loaded, path)
    seed, source = seed if options.seed is None else options.seed, source if options.source is None else options.source
    loaded = binding.with_source(loaded.with_seed(seed), source)
    chain = options.arch or kept.get("arch")
    if chain and (of_model := [name for name in sets if name.partition(".")[0] == "MODEL"]):
        raise SettingsError(f"--set {of_model[0]}: has no effect, as --arch {chain} makes another MODEL")
    return _with_arch(loaded, chain) if chain else loaded


def _address(loaded: settings.Settings, path: Path) -> str | None:
    """Where MNIST is fetched from, if a file that comes with the package asks for it and it is not here."""
    fetches = BROUGHT in path.parents and str(loaded.dataset) == FOLDER and not Path(FOLDER).exists()
    return ADDRESS if fetches else None


def _with_arch(loaded: settings.Settings, text: str) -> settings.Settings:
    rule = loaded.rule
    if rule is None:
        raise SettingsError(f"--arch {text}: needs a rule that trains all layers at once, with its settings as RULE in"
                            " the parameters")
    shape = loaded.model.given_shape or shorthand.input_shape(text, loaded.image_filter.channels)
    model = shorthand.parse(text, shape, rule.neuron, loaded.model.unit_readout, rule.output_neuron)
    return replace(loaded, model=model, arch=text)


def opened(path: Path, options: Namespace, store: RunDirectory,
           progress: Callable[..., Iterable[Any]] = lambda items, description: items) -> Experiment:
    """The experiment that a command is about."""
    target = options.target if options.backend == "spinnaker" else None
    return Experiment(with_overrides(settings.load(path), path, options, store), store, options.backend, options.jobs,
                      progress, program(), target, options.cluster, options.copies, options.time_scale or 1,
                      kept_options(path, options), options.force, options.packet_buffer, options.timed)
