"""What each mode of the command line does: ``mode(experiment, options)`` is the result as a dict for JSON.

A mode tells on stderr how it went; ``text`` of its result is what stdout gets, ``exit_code`` how the command ends.
"""

import math
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import spikingconvnet
from spikingconvnet.cli import conversion, exchange, jobs, prediction
from spikingconvnet.cli.messages import program, say, step
from spikingconvnet.cli.parameters import ADDRESS, opened, parameters_file
from spikingconvnet.errors import DataError, SettingsError, StoreError
from spikingconvnet.experiment import binding, onboard
from spikingconvnet.experiment.crossvalidation import NETWORK, Scheme
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.readout import Score
from spikingconvnet.network.geometry import pair
from spikingconvnet.store.directory import RunDirectory, near, word
from spikingconvnet.training import layer_rule

NOT_YET = "not yet"
DIGITS = "scikit-learn's 1,797 digits"
WITHIN = 0.001      # of the last accuracy, from which a window counts as long enough


def _without_nan(value: Any) -> Any:
    """The same with None for every nan, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _load_data(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    counts = _load(experiment, options)
    _plot(experiment, ["inputs"])
    return {"images": counts}


def _load(experiment: Experiment, options: Namespace) -> dict[str, int]:
    try:
        with step("images: reading and encoding"):
            counts = experiment.load_data()
    except DataError as error:
        if str(experiment.settings.dataset) != ADDRESS:
            raise
        raise DataError(f"{error}; without a network {DIGITS} are there: {program()} --mode {options.mode}"
                        f" --source sklearn:digits --run-dir {word(f'{options.run_dir}-digits')}") from error
    _forget(experiment, 0)
    say("images: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))
    return counts


def _rule(experiment: Experiment, options: Namespace) -> str | None:
    """Name of the rule to train with: the one asked for or that of the parameters; None is each layer's own."""
    return options.rule or getattr(experiment.settings.rule, "name", None)


def _training(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """Train a layer, the readout, or a chain as a whole; the result as it is stored, and figures of it."""
    rule = _rule(experiment, options)
    if options.cv:
        return _cross_validate(experiment, rule, Scheme.parse(options.cv))
    if experiment.model.runs_as_one:
        if options.layer is not None:
            raise SettingsError(f"--layer: {rule or 'RULE'} trains all layers at once; leave --layer out")
        result = _train_chain(experiment, rule)
        if pictured := _pictured(experiment):
            _plot(experiment, [f"kernels-{n}" for n in pictured])
        return result
    layers = [str(stage.number) for stage in experiment.model.stages]
    if options.layer not in (*layers, "svm"):
        got = "is missing;" if options.layer is None else f"got {options.layer!r},"
        raise SettingsError(f"--layer: {got} must be one of {', '.join(layers)}, svm")
    if options.layer == "svm":
        return _train_svm(experiment)
    result = _train_layer(experiment, int(options.layer), rule, options.record)
    has_course = len(experiment.layer(int(options.layer))["wins"]) > 0
    _plot(experiment, [f"kernels-{options.layer}"] + [f"training-{options.layer}"] * has_course)
    return result


def _cross_validate(experiment: Experiment, rule: str | None, scheme: Scheme) -> dict[str, Any]:
    """Means and deviations over the repeats, in percent; nothing is stored."""
    found = {rule if name == NETWORK else name: 100 * shares
             for name, shares in experiment.cross_validate(scheme, rule).items()}
    result = {"rule": rule, "cv": str(scheme), "percent": {name: shares.tolist() for name, shares in found.items()}}
    lines = [f"{scheme.repeats} times {scheme.folds} folds: mean of the repeats, their standard deviation, %"]
    lines += [f"{name:<24}{shares.mean():6.2f}{shares.std():6.2f}" for name, shares in found.items()]
    return {**result, "text": "\n".join(lines)}


def _train_chain(experiment: Experiment, rule: str | None) -> dict[str, Any]:
    """Train all layers at once, and say what the rule tells and what each layer needs."""
    diagnostics = _without_nan(experiment.train_chain(rule))
    _keep_chain(experiment, rule)
    say(f"{rule}: {_numbers(diagnostics)}")
    for report in diagnostics.get("parity", ()):
        say(report["text"])
    for stage in experiment.model.stages:
        own = diagnostics[stage.label]
        say(f"{stage.label}: inputs of a step up to {own['inputs']['excitatory']:.4g} nA excitatory,"
             f" {own['inputs']['inhibitory']:.4g} inhibitory; threshold {own['v_thresh']:.4g} mV")
    return {"rule": rule, "health": diagnostics}


def _pictured(experiment: Experiment) -> list[int]:
    """Numbers of the layers whose kernels are pictures."""
    return [stage.number for stage in experiment.model.stages if max(pair(stage.layer.kernel_size)) > 1]


def _train_layer(experiment: Experiment, number: int, rule: str | None, record: str | None = None) -> dict[str, Any]:
    diagnostics = experiment.train_layer(number, rule, record).diagnostics
    result = _keep_layer(experiment, number)
    say(f"layer {number}, {result['rule']}: " + _diagnostics_text(diagnostics))
    return result


def _train_svm(experiment: Experiment) -> dict[str, Any]:
    with step("svm"):
        result = _keep_svm(experiment, experiment.train_svm())
        if onboard.asked(experiment):
            onboard.make(experiment)
    say(f"svm: accuracy on its {result['n_train']:,} training images {100 * result['accuracy']:.2f} %")
    return result


# An entry of results.json is the last that a step writes, and comes from what is stored, so that a command which was
# killed before it can be made up for.


def _keep_chain(experiment: Experiment, rule: str | None) -> None:
    _forget(experiment, 1)
    diagnostics = _without_nan(experiment.chain_diagnostics())
    for stage in experiment.model.stages:
        experiment.keep_layer_result(stage.number, {"layer": stage.number, "rule": rule, "health": diagnostics})


def _keep_layer(experiment: Experiment, number: int) -> dict[str, Any]:
    _forget(experiment, number)
    how = experiment.layer(number)["how"]
    result = {"layer": number, "rule": how["rule"], "health": how["health"]}
    experiment.keep_layer_result(number, result)
    return result


def _keep_svm(experiment: Experiment, score: Score) -> dict[str, Any]:
    _forget(experiment, len(experiment.model.stages) + 1)
    result = {"layer": "svm", "split": "train", "accuracy": score.accuracy, "n_train": int(score.confusion.sum())}
    experiment.keep_result("svm", result)
    return result


def _testing(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    result = _test(experiment, options)
    if options.record is not None:
        experiment.record(options.split, options.record)
    from spikingconvnet.experiment import figures

    _plot(experiment, [figures.CONFUSIONS[options.split]])
    return result


def _test(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """Accuracy, recall and confusion of a split, stored and said."""
    own = {"on_board": onboard.tested(experiment, options.split)} if onboard.asked(experiment) else {}
    score = experiment.test(options.split)
    n, result = int(score.confusion.sum()), {**score.entry(options.split), **own}
    if experiment.model.runs_as_one:
        result |= {"over_time": experiment.over_time(options.split)}
    if names := binding.class_names(experiment.store.how("data/train")):
        result |= {"class_names": [names.get(c, str(c)) for c in result["classes"]]}
    experiment.keep_result(options.split, result)
    say(f"{n:,} {options.split} images; share recognised by class: "
         + ", ".join(f"{c}: none shown" if r is None else f"{c}: {100 * r:.1f} %"
                     for c, r in zip(result.get("class_names", score.classes), result["recall"])))
    say("first half of them {:.2f} %, second half {:.2f} %".format(*(100 * a for a in score.by_half)))
    if experiment.model.runs_as_one:
        say(_over_time_text(result["over_time"]))
    if own:
        say(f"accuracy on the host {100 * result['accuracy']:.2f} %, {onboard.as_text(own['on_board'])}")
    return result


def _over_time_text(course: Mapping[str, Any]) -> str:
    final = course["accuracy"][-1]
    enough = next(t for t, a in zip(course["steps"], course["accuracy"]) if a >= final - WITHIN)
    shown = [(step, f"{100 * a:.2f}") for step, a in zip(course["steps"], course["accuracy"])
             if step % 10 == 0 or step == course["steps"][-1]]
    spikes = ", ".join(f"{n:,.0f} {label}" for label, n in course["spikes"].items())
    return (f"accuracy after {', '.join(str(step) for step, _ in shown)} steps: {', '.join(a for _, a in shown)} %;"
            f" within {100 * WITHIN:g} % of the last after {enough}\nspikes an image: {spikes}")


def _info(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    layers = {f"layer {s.number}": experiment.is_trained(s.number) for s in experiment.model.stages}
    state = {"data": experiment.has_data(), **layers}
    if not experiment.model.runs_as_one:
        state["svm"] = experiment.has_svm()
    results = experiment.results()
    lines = [experiment.model.summary(), f"run directory {experiment.store.path}, data set"
             f" {experiment.settings.dataset}, seed {experiment.settings.seed}"]
    for name, done in state.items():
        rule = f", {results[name]['rule']}" if "rule" in results.get(name, {}) else ""
        lines.append(f"{name}: "
                     + (f"done{rule}{_on_board(results.get(name, {}))}" if done else _not_done(experiment, name)))
    lines += [f"{name} accuracy {100 * entry['accuracy']:.2f} %{_on_board(entry)}" for name, entry in results.items()
              if name in ("test", "validation")]
    return {"version": spikingconvnet.__version__, "shapes": experiment.model.shapes, "done": state,
            "results": results, "text": "\n".join(lines)}


def _not_done(experiment: Experiment, name: str) -> str:
    """In words, why ``data``, ``layer n`` or ``svm`` is not there."""
    file = {"data": "data/train", "svm": "svm"}.get(name, name.replace("layer ", "layers/"))
    return "of other settings than those in force" if experiment.store.file(file).is_file() else NOT_YET


def _on_board(entry: Mapping[str, Any]) -> str:
    """In words, the verdict that an entry of ``results.json`` holds; nothing if it did not run on a board."""
    return f", {entry['verdict']} on the board" if "verdict" in entry else ""


def _check_networks(experiment: Experiment | None, options: Namespace) -> dict[str, Any]:
    from spikingconvnet.experiment.jobs import plan
    from spikingconvnet.experiment.networks import subjects

    if experiment is None:
        return exchange.checked([exchange.kept(options.paths[0])], options)
    found = exchange.checked(subjects(experiment), options)
    if not experiment.has_data():
        return found
    planned = plan.plan(experiment, found["networks"])
    return {**found, "jobs": plan.as_dict(planned), "text": f"{found['text']}\n\n{plan.as_text(planned)}"}


def _doctor(_: object, options: Namespace) -> dict[str, Any]:
    from spikingconvnet.cli import doctor

    asked = options.queue or options.collab
    lines = doctor.examine(options.target) + (doctor.queue(options.collab) if asked else [])
    return {"lines": [vars(line) for line in lines], "text": "\n".join(map(str, lines)),
            "exit_code": 0 if doctor.healthy(lines) else 3}


def _compare(_: object, options: Namespace) -> dict[str, Any]:
    """Two runs, or two recordings: where they differ first, and why."""
    from spikingconvnet.compare import differences, recorded, runs

    a, b = options.paths
    for path in (a, b):
        if not Path(path).exists():
            raise StoreError(f"{path}: no such run directory or recording{near(path)}")
    kinds = [Path(path).is_dir() for path in (a, b)]
    if kinds[0] != kinds[1]:
        raise SettingsError(f"--mode compare: takes two run directories or two recordings, got one of each: {a} and"
                            f" {b}")
    found: runs.RunComparison | differences.Comparison
    if kinds[0]:
        found = runs.compare_runs(a, b)
        result = {**runs.as_dict(found), "text": runs.as_text(found, a, b, program())}
    else:
        ours, theirs = recorded.load(a), recorded.load(b)
        found = differences.compare(ours, theirs)
        result = {**differences.as_dict(found, ours, theirs), "text": differences.as_text(found, ours, theirs)}
    return {**result, "exit_code": 0 if found.identical else 8}


def _plot_all(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    for stage in experiment.model.stages:
        name = f"layer {stage.number}"
        if not experiment.is_trained(stage.number) and _not_done(experiment, name) != NOT_YET:
            say(f"{name}: {_not_done(experiment, name)}, so its figures are not drawn")
    return {"plots": [str(p) for p in _plot(experiment, None, options.pdf, not options.no_titles)]}


def _report(experiment: Experiment | None, options: Namespace) -> dict[str, Any]:
    """The page of a run, or of two."""
    if experiment is not None:
        return {"text": str(report(experiment))}
    from spikingconvnet.experiment.report import gather

    a, b = (_run_at(path, options) for path in options.paths)
    with a.store.locked(), step("report"):
        return {"text": str(gather.write_beside(a, b))}


def report(experiment: Experiment) -> Path:
    """Write the page of a run: its path."""
    from spikingconvnet.experiment.report import gather

    with step("report"):
        path = gather.write(experiment)
    say(f"report: {path}")
    return path


def _run_at(path: str, options: Namespace) -> Experiment:
    """The experiment of a run directory, with the parameters that it keeps."""
    store = RunDirectory(path, f"{program()} --mode report")
    store.require_run(f"{program()} --mode demo --run-dir {word(store.path)}")
    own = Namespace(**{**vars(options), "run_dir": path, "named": True})
    return opened(parameters_file(own, store), own, store)


def _demo(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """All steps one after another: training, readout, test, figures."""
    say(shown := experiment.model.summary())
    if not experiment.has_data():
        _load(experiment, options)
    if (fitted := experiment.model.summary()) != shown:
        say(fitted)
    _train(experiment, _rule(experiment, options))
    result = _test(experiment, options)
    return {**result, "plots": [str(p) for p in _plot(experiment, None)]}


def _train(experiment: Experiment, rule: str | None) -> None:
    """Train what is not trained yet, and make up for entries that a killed command has not come to."""
    stages = experiment.model.stages
    if experiment.model.runs_as_one:
        if not all(experiment.is_trained(stage.number, rule) for stage in stages):
            _train_chain(experiment, rule)
        elif not all(f"layer {stage.number}" in experiment.results() for stage in stages):
            _keep_chain(experiment, rule)
        return
    for stage in stages:
        if not experiment.is_trained(stage.number, layer_rule(stage, rule).name):
            _train_layer(experiment, stage.number, rule)
        elif f"layer {stage.number}" not in experiment.results():
            _keep_layer(experiment, stage.number)
    if not experiment.has_svm():
        _train_svm(experiment)
    elif "svm" not in experiment.results():
        _keep_svm(experiment, experiment.test("train"))


def _forget(experiment: Experiment, number: int) -> None:
    from spikingconvnet.experiment import figures

    experiment.store.forget_figures(figures.outdated_by(experiment, number))


def _diagnostics_text(told: Mapping[str, Any]) -> str:
    """In words, how a layer has learned: what STDP says of itself, and the numbers of any other rule by their names."""
    if "wins_per_window" not in told:
        return _numbers(told)
    single = 1.0 - told["silent_windows"] - told["contested_windows"]
    return (f"{told['wins_per_window']:.2f} wins per window ({100 * single:.0f} % of the windows with one winner,"
            f" {100 * told['silent_windows']:.0f} % without, {100 * told['contested_windows']:.0f} % with several),"
            f" {told['duplicate_pairs']:.0f} duplicate pairs, mean weight {told['mean_weight']:.2f} nA,"
            f" {100 * told['at_lower']:.0f} % of weights at the lower and {100 * told['at_upper']:.0f} % at the"
            f" upper bound, convergence {told['convergence']:.3f}")


def _numbers(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in told.items()
                     if isinstance(value, (int, float)))


def _plot(experiment: Experiment, names: Sequence[str] | None, pdf: bool = False, titles: bool = True) -> list[Path]:
    from spikingconvnet.experiment import figures

    paths = figures.plot(experiment, names, (*figures.KINDS, *["pdf"] * pdf), titles)
    say(f"plots: {experiment.store.path / 'plots'} ({', '.join(sorted({p.stem for p in paths}))})")
    return paths


def _map(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    from spikingconvnet.experiment.networks import mapped

    found = mapped(experiment)
    for name, used in found.items():
        say(f"{name}, copies: {used['copies']}: {used['cores']} cores, {used['chips']} chips,"
             f" {used['boards']} boards; mapped by sPyNNaker, nothing computed")
    return {"copies": experiment.runner.copies, "mapped": found}


MODES: dict[str, Callable[[Any, Namespace], dict[str, Any]]] = {
    "loaddata": _load_data, "training": _training, "testing": _testing, "info": _info, "plot": _plot_all,
    "report": _report, "demo": _demo, "check": _check_networks, "map": _map, "doctor": _doctor, "compare": _compare,
    "import": exchange.import_, "export": exchange.export, "convert": conversion.convert_,
    "predict": prediction.predict, "bundle": jobs.bundle_, "submit": jobs.submit_, "collect": jobs.collect_,
    "conformance": jobs.conformance_}
