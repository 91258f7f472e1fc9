"""The command line: ``main.py --mode loaddata|training|testing|info|plot|demo``; the only module that prints.

Results go to stdout (one JSON object with ``--json``), messages and progress bars to stderr.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path

import spikingconvnet
from spikingconvnet import backends, settings
from spikingconvnet.errors import SettingsError, SpikingConvNetError
from spikingconvnet.experiment import RULES, Experiment

EXIT_CODES = """exit codes:
  0  done
  1  an error inside the program, with a traceback
  2  wrong usage, or a parameter that cannot be used
  4  bad data
  5  an earlier step is missing, or the run directory holds results of other settings
  130  interrupted; everything that was finished is kept, the same command goes on"""


def main(args=None):
    """Run one command: its exit code.

    Parameters
    ----------
    args : list of str or None
        Command line without the program's name; None takes ``sys.argv``.
    """
    options = _parser().parse_args(args)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    try:
        result = _run(options)
    except SpikingConvNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    result.update(seconds=round(time.perf_counter() - begin, 2), cpu_seconds=round(time.process_time() - begin_cpu, 2))
    if options.json:
        print(json.dumps(result))
    elif "accuracy" in result and options.mode in ("testing", "demo"):
        print(f"{result['split']} accuracy {100 * result['accuracy']:.2f} %")
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="spikingconvnet", epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Layer-wise STDP spiking convolutional networks on SpiNNaker.")
    add = parser.add_argument
    add("--mode", required=True, choices=tuple(_MODES), help="what to do; demo does everything")
    add("--layer", help="with --mode training: 1, 2, ... or svm")
    add("--rule", default="stdp", choices=tuple(RULES),
        help="with --mode training: how a layer finds its kernels; random and kmeans are floors (default: stdp)")
    add("--parameters", metavar="FILE", help="the experiment (default: parameters.py here, or the run directory's)")
    add("--run-dir", metavar="DIR", default="runs/default", help="where results are kept (default: runs/default)")
    add("--seed", type=int, help="seed of every random choice (default: SEED of the parameters)")
    add("--backend", default="local", choices=backends.names(), help="what simulates (default: local)")
    add("--source", metavar="DIR_OR_URL", help="with --mode loaddata or demo: another IDX data set")
    add("--split", default="test", choices=("validation", "test"), help="with --mode testing: images to classify")
    add("--jobs", type=int, help="threads (default: all cores); the results do not depend on it")
    add("--json", action="store_true", help="print one JSON object on stdout")
    add("--version", action="version", version=spikingconvnet.__version__)
    return parser


def _run(options):
    if options.jobs is not None and options.jobs < 1:
        raise SettingsError(f"--jobs: must be at least 1, got {options.jobs}")
    if options.layer is not None and options.mode != "training":
        raise SettingsError(f"--layer: belongs to --mode training, not to --mode {options.mode}")
    if options.source is not None and options.mode not in ("loaddata", "demo"):
        raise SettingsError(f"--source: belongs to --mode loaddata or demo, not to --mode {options.mode}")
    path = _parameters_file(options)
    experiment = Experiment(settings.load(path).with_seed(options.seed), options.run_dir, options.backend,
                            options.jobs, _progress)
    if options.mode != "info":
        experiment.store.keep_parameters(path)
    result = {"mode": options.mode, "backend": options.backend, "seed": experiment.settings.seed,
              "run_dir": str(experiment.store.path), **_MODES[options.mode](experiment, options)}
    return result


def _parameters_file(options):
    if options.parameters:
        return Path(options.parameters)
    kept = Path(options.run_dir) / "parameters.py"
    return kept if kept.is_file() and not Path("parameters.py").is_file() else Path("parameters.py")


def _progress(items, description):
    from tqdm import tqdm

    return tqdm(items, desc=description, disable=not sys.stderr.isatty(), leave=False)


def _say(text=""):
    print(text, file=sys.stderr)


# ---------------------------------------------------------------- modes


def _load_data(experiment, options):
    counts = _load(experiment, options)
    _plot(experiment, ["inputs"])
    return {"images": counts}


def _load(experiment, options):
    counts = experiment.load_data(options.source)
    _say("images: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))
    return counts


def _training(experiment, options):
    layers = [str(stage.number) for stage in experiment.model.stages]
    if options.layer not in (*layers, "svm"):
        raise SettingsError(f"--layer: must be one of {', '.join(layers)}, svm, got {options.layer!r}")
    if options.layer == "svm":
        return _train_svm(experiment)
    result = _train_layer(experiment, int(options.layer), options.rule)
    _plot(experiment, [f"kernels-{options.layer}"] + [f"training-{options.layer}"] * (options.rule == "stdp"))
    return result


def _train_layer(experiment, number, rule):
    health = experiment.train_layer(number, rule).health
    result = {"layer": number, "rule": rule, "health": health}
    experiment.store.write_results(f"layer {number}", result)
    _say(f"layer {number}, {rule}: " + _health_text(health))
    return result


def _train_svm(experiment):
    score = experiment.train_svm()
    result = {"layer": "svm", "split": "train", "accuracy": score.accuracy, "n_train": int(score.confusion.sum())}
    experiment.store.write_results("svm", result)
    _say(f"svm: accuracy on its {result['n_train']:,} training images {100 * score.accuracy:.2f} %")
    return result


def _testing(experiment, options):
    result = _test(experiment, options)
    _plot(experiment, ["confusion"])
    return result


def _test(experiment, options):
    score = experiment.test(options.split)
    n = int(score.confusion.sum())
    result = {"split": options.split, "accuracy": score.accuracy, f"n_{options.split}": n,
              "classes": score.classes.tolist(), "recall": score.recall.tolist(),
              "precision": score.precision.tolist(), "confusion": score.confusion.tolist()}
    experiment.store.write_results(options.split, result)
    _say(f"{n:,} {options.split} images; share recognised by class: "
         + ", ".join(f"{c}: {100 * r:.1f} %" for c, r in zip(score.classes, score.recall)))
    return result


def _info(experiment, options):
    state = {f"layer {s.number}": experiment.is_trained(s.number) for s in experiment.model.stages}
    state["svm"] = experiment.has_svm()
    if not options.json:
        print(experiment.model.summary())
        print("\n".join(f"{name}: {'trained' if done else 'not trained'}" for name, done in state.items()))
    return {"version": spikingconvnet.__version__, "shapes": experiment.model.shapes, "trained": state,
            "results": experiment.store.results()}


def _plot_all(experiment, options):
    return {"plots": [str(p) for p in _plot(experiment, None)]}


def _demo(experiment, options):
    _say(experiment.model.summary())
    if options.source or not experiment.has_data():
        _load(experiment, options)
    for stage in experiment.model.stages:
        if not experiment.is_trained(stage.number):
            _train_layer(experiment, stage.number, options.rule)
    if not experiment.has_svm():
        _train_svm(experiment)
    result = _test(experiment, options)
    return {**result, "plots": [str(p) for p in _plot(experiment, None)]}


def _health_text(health):
    weights = (f"{health['duplicate_pairs']:.0f} duplicate pairs, mean weight {health['mean_weight']:.2f} nA,"
               f" {100 * health['at_lower']:.0f} % of weights at the lower and {100 * health['at_upper']:.0f} % at the"
               " upper bound")
    if "wins_per_window" not in health:
        return weights
    return (f"{health['wins_per_window']:.2f} wins per window ({100 * health['silent_windows']:.0f} % silent,"
            f" {100 * health['contested_windows']:.0f} % contested), {weights}")


def _plot(experiment, names):
    from spikingconvnet import report

    paths = report.plot(experiment, names)
    _say(f"plots: {experiment.store.path / 'plots'} ({', '.join(sorted({p.stem for p in paths}))})")
    return paths


_MODES = {"loaddata": _load_data, "training": _training, "testing": _testing, "info": _info, "plot": _plot_all,
          "demo": _demo}
