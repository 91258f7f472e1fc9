"""Which parameters a command uses."""

import filecmp
import shlex
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import spikingconvnet
from spikingconvnet.cli.messages import say
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.model import shorthand
from spikingconvnet.store import schemas
from spikingconvnet.store.directory import RunDirectory, same_file, word

BROUGHT = Path(spikingconvnet.__file__).parent / "experiment"       # parameters files that come with the package
TEMPLATE, RECIPES = BROUGHT / "template.py", BROUGHT / "recipes"
FOLDER, ADDRESS = "data/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"     # of MNIST's four files
WHOLE = tuple(sorted({path.stem.partition("-")[0] for path in RECIPES.glob("*.py")}))   # rules that bring parameters


def parameters_file(options: Namespace) -> Path:
    """The file to use: the one named; for a new run the one here; to go on, the one that the run was loaded with.

    Where there is none, that of the demo, which comes with the package.

    A rule that brings parameters, but none for the data set asked for, is a SettingsError.
    """
    if options.parameters:
        return Path(options.parameters)
    new = options.mode in ("loaddata", "demo") or options.cv or options.dataset
    if new and options.rule in WHOLE:
        return _recipe(options.rule, options.dataset)
    here, kept = Path("parameters.py"), Path(options.run_dir) / "parameters.py"
    if (options.mode in ("loaddata", "demo") and here.is_file()) or not kept.is_file():
        return here if here.is_file() else TEMPLATE
    if here.is_file() and not filecmp.cmp(here, kept, shallow=False):
        say(f"using {kept}, with which the run was loaded; {here} differs and is not used")
    return kept


def _recipe(rule: str, dataset: str | None) -> Path:
    """The parameters file that a rule brings with it: its first one, or that for a data set."""
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
    words = [] if path in (Path("parameters.py"), TEMPLATE) else [f"--parameters {word(path)}"]
    given = {"--seed": options.seed, "--arch": options.arch}
    return " ".join([*words, *(f"{name} {shlex.quote(str(value))}" for name, value in given.items()
                               if value is not None)])


def with_overrides(loaded: settings.Settings, path: Path, options: Namespace, store: RunDirectory) -> settings.Settings:
    """Settings with the command line's seed, source and architecture, or with those that the run was loaded with.

    Raises
    ------
    SettingsError
        An architecture, but no rule that trains all layers at once; or one that cannot be used, see ``shorthand``.
    """
    is_kept = same_file(path, store.path / "parameters.py")
    kept = store.how("data/train", schemas.data("train")) if is_kept else {}
    seed, source = options.seed, options.source
    seed = kept.get("seed") if seed is None else seed
    source = (kept.get("source") or _address(loaded, path)) if source is None else source
    loaded = replace(loaded.with_seed(seed), dataset=source or loaded.dataset)
    chain = options.arch or kept.get("arch")
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
    model = shorthand.parse(text, loaded.model.input_shape, rule.neuron, loaded.model.unit_readout,
                            rule.output_neuron)
    return replace(loaded, model=model, arch=text)
