"""The verdict after a run: made-up databases for every failure, clean ones, damaged ones, and an emulated board."""

import ast
import re
import sqlite3
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from provenance_database import ITEMS, SCHEMA, Story

from spikingconvnet.backends.spinnaker import provenance
from spikingconvnet.backends.spinnaker.provenance import Provenance
from spikingconvnet.errors import BackendError, HealthError
from spikingconvnet.health.rules import EXPLAINED, NEUTRAL, NO_MEMORY, RULES
from spikingconvnet.health.verdict import VERDICTS, judge, merge, worst
from spikingconvnet.health.watch import Watch


@pytest.fixture
def story():
    return Story(np.random.default_rng(0))


def health_of(story, tmp_path):
    return judge(story.provenance(tmp_path / "data.sqlite3"))


# ---------------------------------------------------------------- one failure each

CORE_FAILURES = [       # kind of core, item, count, finding, verdict, fix
    ("combined", "Times_the_input_buffer_lost_packets", 7, "lost_input", "invalid", "--time-scale 2, or spread"),
    ("synapses", "Times_the_input_buffer_lost_packets", 7, "lost_input", "invalid", "--time-scale 2, or spread"),
    ("delay", "Times_the_input_buffer_lost_packets", 7, "lost_input", "invalid", "--time-scale 2, or spread"),
    ("combined", "Number_of_late_spikes", 3, "late_packets", "suspect", "--time-scale 2"),
    ("convolution", "Number_of_late_spikes", 3, "late_packets", "invalid", "--time-scale 2"),
    ("delay", "Number_of_late_spikes", 3, "late_packets", "invalid", "--time-scale 2"),
    ("combined", "Late spikes", 4, "late_spikes", "suspect", "--time-scale 2"),
    ("combined", "Skipped synapses", 90, "skipped_synapses", "invalid", "--time-scale 2"),
    ("source", "Times_the_timer_tic_over_ran", 2, "timer_overruns", "invalid", "--time-scale 2"),
    ("combined", "Max_number_of_times_timer_tic_over_ran", 3, "timer_behind", "invalid", "--time-scale 2"),
    ("neurons", "Timer tick overruns", 5, "neuron_overruns", "invalid", "--time-scale 2"),
    ("combined", "Times_the_callback_queue_was_overloaded", 1, "callback_queue", "invalid", "--time-scale 2"),
    ("combined", "Times_the_dma_queue_was_overloaded", 1, "dma_queue", "invalid", "--time-scale 2"),
    ("combined", "Times_the_user_queue_was_overloaded", 1, "user_queue", "invalid", "--time-scale 2"),
    ("convolution", "Times_the_background_queue_overloaded", 1, "background_queue", "invalid", "--time-scale 2"),
    ("combined", "Max_backgrounds_queued", 2, "backgrounds_queued", "suspect", "--time-scale 2"),
    ("combined", "Times_the_transmission_of_spikes_overran", 8, "transmission", "suspect", "spread the input"),
    ("synapses", "Times_the_transfer_did_not_complete_in_time", 8, "transfer_overruns", "invalid", "--time-scale 2"),
    ("synapses", "Times_a_time_step_was_skipped", 8, "skipped_steps", "invalid", "--time-scale 2"),
    ("combined", "Times_synaptic_weights_have_saturated", 11, "saturated", "suspect", "lower the weights"),
    ("synapses", "Times_plastic_synaptic_weights_have_saturated", 11, "saturated", "suspect", "max_expected_summed"),
    ("delay", "saturation_count", 1, "delay_saturated", "invalid", "spread the input"),
    ("delay", "invalid_neuron_count", 1, "delay_neuron", "invalid", "keys or routes"),
    ("delay", "invalid_key_count", 1, "delay_key", "invalid", "keys or routes"),
    ("delay", "Number_of_packets_processed", -2, "delay_unprocessed", "invalid", "spread the input"),
    ("delay", "Number_of_packets_added_to_delay_slot", -2, "delay_unadded", "suspect", "keys or routes"),
    ("source", "Incorrect_keys", 1, "host_keys", "suspect", "keys or routes"),
    ("source", "Incorrect_packets", 1, "host_packets", "suspect", "keys or routes"),
    ("source", "Late_packets", 1, "host_late", "suspect", "--time-scale 2"),
    ("live", "lost_packets_with_payload", 1, "live_lost", "suspect", "--time-scale 2"),
    ("live", "lost_packets_without_payload", 1, "live_lost", "suspect", "--time-scale 2"),
    ("combined", "Last_timer_tic_the_core_ran_to", -4, "steps_missing", "invalid", "run again"),
    ("source", "Send_multicast_packets", -9, "packets_missing", "invalid", "spread the input"),
    ("combined", "A new item of a later sPyNNaker", 1, "unknown", "suspect", "run again")]


UNTIMED = ("steps_missing", "packets_missing", "delay_unprocessed", "delay_unadded", "backgrounds_queued")


@pytest.mark.parametrize("kind, item, count, name, verdict, fix", CORE_FAILURES)
def test_what_a_core_reports_is_found_with_its_place_its_run_and_its_fix(
        kind, item, count, name, verdict, fix, story, tmp_path, monkeypatch):
    monkeypatch.setitem(ITEMS, kind, tuple(dict.fromkeys((*ITEMS[kind], item))))
    health = health_of(story.add((0, 0, 1 + list(ITEMS).index(kind)), item, count, run=1), tmp_path)
    finding, = [f for f in health.findings if f.name == name]
    assert health.verdict == verdict == finding.severity and fix in finding.fix
    assert [f.name for f in health.findings if f.severity != "note"].count(name) == 1
    assert finding.where == (f"core 0,0,{1 + list(ITEMS).index(kind)} ({kind}, neurons 0 to 99)",)
    assert finding.steps == (20, 50) or name in UNTIMED
    assert finding.value == abs(count) + (name == "backgrounds_queued")


ROUTER_FAILURES = [     # phase and item, count, reinjection, findings that are no notes, verdict
    ("RunDropped_Multicast_Packets", 13, False, {"dropped_packets"}, "invalid"),
    ("RunDropped_Multicast_Packets", 13, True, {"dropped_packets"}, "invalid"),
    ("RunMissed_For_Reinjection", 2, True, {"missed_reinjection"}, "invalid"),
    ("RunReceived_For_Reinjection", 2, True, {"not_reinjected"}, "suspect"),
    ("RunDropped_Multicast_Packets_via_local_transmission", 2, False, {"unrouted"}, "invalid"),
    ("RunDumped_from_a_Link", 2, True, {"link_dumps"}, "suspect"),
    ("RunDumped_from_a_processor", 2, True, {"core_dumps"}, "suspect"),
    ("RunError status", 0x20000001, False, {"router_errors"}, "suspect")]


@pytest.mark.parametrize("item, count, reinjection, names, verdict", ROUTER_FAILURES)
def test_what_a_router_reports_is_found(item, count, reinjection, names, verdict, tmp_path):
    story = Story(np.random.default_rng(1), chips=2, reinjection=reinjection).add((1, 0), item, count, run=1)
    health = health_of(story, tmp_path)
    assert {f.name for f in health.findings if f.severity != "note"} == names and health.verdict == verdict
    assert health.findings[0].where == ("router 1,0",) and health.findings[0].value == count


def test_dropped_packets_that_did_not_fit_the_queue_are_lost_and_the_others_are_not(tmp_path):
    story = Story(np.random.default_rng(1), reinjection=True)
    for item, count in (("Dropped_Multicast_Packets", 20), ("Received_For_Reinjection", 17), ("Reinjected", 12),
                        ("Reinjection_Overflows", 5), ("Missed_For_Reinjection", 3)):
        story.add((0, 0), f"Run{item}", count)
    found = {f.name: (f.severity, f.value) for f in health_of(story, tmp_path).findings if f.severity != "note"}
    assert found == {"missed_reinjection": ("invalid", 3), "reinjection_overflow": ("invalid", 5)}


def test_packets_dropped_in_every_run_are_added_up_although_counters_are_cleared_between(story, tmp_path):
    story.add((0, 0), "RunDropped_Multicast_Packets", 5).add((0, 0), "RunDropped_Multicast_Packets", 4, run=1)
    finding = health_of(story, tmp_path).findings[0]
    assert (finding.name, finding.value, finding.steps) == ("dropped_packets", 9, (0, 20))


def test_a_count_that_a_core_keeps_from_run_to_run_is_not_added_up(story, tmp_path):
    finding = health_of(story.add("combined", "Skipped synapses", 6, run=0), tmp_path).findings[0]
    assert (finding.name, finding.value, finding.steps) == ("skipped_synapses", 6, (0, 20))


@pytest.mark.parametrize("spoil, name, verdict", [
    (lambda s: s.missing_data.add(("combined", 1)), "recording_lost", "invalid"),
    (lambda s: s.gone.add(("combined", 1)), "silent_core", "suspect"),
    (lambda s: s.gone.add(("source", 0)), "silent_core", "suspect"),
    (lambda s: s.gone.add(("router", 1)), "silent_router", "suspect"),
    (lambda s: setattr(s, "time_scale", 3), "time_scale", "suspect"),
    (lambda s: setattr(s, "clipped", 4), "clipped_delays", "suspect"),
    (lambda s: s.messages.append("The flux capacitor on 0, 0 leaks"), "remark", "suspect"),
    (lambda s: s.messages.append("The router on 0, 0 has default routed 3 multicast packets, but the router table did"
                                 " not expect any default routed packets."), "default_routed", "suspect")])
def test_what_else_can_go_wrong_is_found(spoil, name, verdict, story, tmp_path):
    spoil(story)
    health = health_of(story, tmp_path)
    assert [f.name for f in health.findings if f.severity != "note"] == [name] and health.verdict == verdict
    if name == "remark":
        assert [f.value for f in health.findings if f.name == name] == [1]


def test_a_core_that_says_that_its_memory_is_too_small_is_no_broken_board(story, tmp_path):
    whole = story.provenance(tmp_path / "data.sqlite3")
    states = ((0, 0, 1, "RUN_TIME_EXCEPTION"), (0, 0, 2, "RUN_TIME_EXCEPTION"))
    said = ((0, 0, 1, "Skipping bitfield 3"), (0, 0, 1, "Unable to allocate neuron array - Out of DTCM"))
    health = judge(replace(whole, failure="it ended", states=states, said=said))
    found = {f.name: f for f in health.findings if f.name in ("failed", "core_memory", "core_states")}
    assert all("neurons_per_core" in found[name].fix for name in ("failed", "core_memory"))
    assert "Out of DTCM" in found["core_memory"].where[0] and "another board" in found["core_states"].fix
    broken = judge(replace(whole, failure="it ended", states=states[:1]))
    assert [f.fix for f in broken.findings if f.name == "failed"] == ["run again"]


def test_what_cores_have_said_is_read_from_the_files_beside_the_database(tmp_path):
    folder = tmp_path / "provenance_data" / "app_provenance_data"
    folder.mkdir(parents=True)
    (folder / "iobuf_for_chip_1_0_processor_id_12.txt").write_text(
        "[INFO] (neuron.c: 1): fine\n" + 2 * "[ERROR] (post_events.h: 90): Out of DTCM: Try \n")
    (folder / "iobuf_for_chip_x.txt").write_text("[ERROR] (a.c: 1): not of a core\n")
    assert provenance.said(tmp_path / "data.sqlite3") == ((1, 0, 12, "Out of DTCM: Try"),)
    assert provenance.said(tmp_path / "nowhere" / "data.sqlite3") == ()


@pytest.mark.parametrize("text, small", [
    ("Could not allocate %u entries for ring buffers", True), ("Not enough space to allocate LUT.  Try reducing", True),
    ("Could not initialise DMA buffers", True), ("failed to allocate memory for bitfield of size %u bytes", True),
    ("Could not allocated space for recording_info", True), ("Unable to allocate neuron array - Out of DTCM", True),
    ("Could not allocate recording region %u of %u bytes, available was %u bytes", False),
    ("Cannot allocate SDP callback on port %d as its already been allocated.", False),
    ("Error processing spike 0x%.8x for address 0x%.8x (local=0x%.8x)", False)])
def test_texts_of_the_programs_that_tell_of_a_core_s_memory(text, small):
    written = package_file("spynnaker/pyNN/model_binaries/IF_curr_exp.dict").read_text()
    assert text in written and bool(re.search(NO_MEMORY, text)) == small


def test_recorded_steps_that_are_missing_are_counted_by_core_and_run(story, tmp_path):
    story.gaps |= {("v", 1): 7, ("gsyn_exc", 1): 9}
    finding, = [f for f in health_of(story, tmp_path).findings if f.severity != "note"]
    assert (finding.name, finding.severity, finding.value, finding.steps) == ("recording_gaps", "invalid", 9, (20, 50))
    assert finding.where == ("core 0,0,1 (combined, neurons 0 to 99)",) and finding.fix == "--time-scale 2"
    story.gaps |= {("v", 0): 20}
    (tmp_path / "data.sqlite3").unlink()
    finding, = [f for f in health_of(story, tmp_path).findings if f.severity != "note"]
    assert (finding.value, finding.steps) == (29, (0, 20))


def test_a_run_of_which_nothing_is_known_is_never_valid(story, tmp_path):
    whole = story.provenance(tmp_path / "data.sqlite3")
    assert [f.name for f in judge(replace(whole, readings=())).findings] == ["no_provenance"]
    assert judge(Provenance()).verdict == "suspect"
    empty = sqlite3.connect(tmp_path / "empty.sqlite3")
    empty.executescript(SCHEMA)
    empty.close()
    assert judge(provenance.read(tmp_path / "empty.sqlite3")).verdict == "suspect"


def test_a_run_that_failed_names_the_cores_and_their_states(story, tmp_path):
    failed = replace(story.provenance(tmp_path / "data.sqlite3"), ends=(20,), failure="sPyNNaker: ...",
                     states=((0, 0, 1, "RUN_TIME_EXCEPTION"),))
    health = judge(failed)
    assert health.verdict == "invalid" and {"failed", "core_states"} == {f.name for f in health.findings
                                                                        if f.severity == "invalid"}
    assert "core 0,0,1 (combined, neurons 0 to 99): RUN_TIME_EXCEPTION" in str(health.findings[1])


@pytest.mark.parametrize("counter, severity", [("wrapped_weights", "suspect"), ("silent_delays", "suspect"),
                                               ("lost_weights", "note"), ("extended_delays", "note")])
def test_what_the_local_backend_predicts_has_the_same_name(counter, severity, story, tmp_path):
    clean = story.provenance(tmp_path / "data.sqlite3")
    health = judge(replace(clean, counters={"kernels": {"weights": 100, counter: 3}, "gate": {counter: 0}}))
    finding, = [f for f in health.findings if f.name == counter]
    assert (finding.severity, finding.value, finding.where) == (severity, 3, ("projection kernels",))


@pytest.mark.parametrize("late, verdict", [(0, "valid"), (2, "invalid")])
def test_plastic_synapses_that_are_never_delivered_are_skipped_without_harm_if_nothing_was_late(
        late, verdict, story, tmp_path):
    story.add("combined", "Skipped synapses", 45).add("combined", "Late spikes", late)
    said = story.provenance(tmp_path / "data.sqlite3")
    health = judge(replace(said, cores=tuple(replace(core, silent=True) for core in said.cores)))
    assert health.verdict == verdict and (late or "silent_delays" in {f.name for f in health.findings})


def test_many_places_of_one_finding_are_told_as_one(tmp_path):
    story = Story(np.random.default_rng(2), chips=5).add("combined", "Skipped synapses", 2)
    finding = health_of(story, tmp_path).findings[0]
    assert (finding.value, finding.places, len(finding.where)) == (10, 5, 3) and "and 2 more" in str(finding)


# ---------------------------------------------------------------- clean runs


@pytest.mark.parametrize("seed", range(24))
def test_a_clean_run_is_valid_whatever_it_had_to_do(seed, tmp_path):
    rng = np.random.default_rng([seed, 3])
    ends = tuple(np.cumsum(rng.integers(1, 300, rng.integers(1, 6))).tolist())
    story = Story(rng, ends, int(rng.integers(1, 5)), reinjection=bool(rng.integers(2)))
    story.messages += ["No multicast packets were sent by in 0(0:9) on 0,0,5. If you expected packets to be sent this"
                       " could indicate an error"] * int(rng.integers(3))
    if story.reinjection:
        for item in ("Dropped_Multicast_Packets", "Received_For_Reinjection", "Reinjected"):
            story.add((0, 0), f"Run{item}", 6, run=len(ends) - 1)
    story.lost_sequences = int(rng.integers(3))
    story.add((0, 0), "LoadDropped_Multicast_Packets", int(rng.integers(3)))
    story.add((0, 0), "ExtractDropped_FR_Packets", int(rng.integers(3)))
    health = health_of(story, tmp_path)
    assert health.verdict == "valid", [str(f) for f in health.findings]
    assert (health.runs, health.cores) == (len(ends), len(story.cores))


# ---------------------------------------------------------------- damaged and foreign databases


@pytest.fixture
def database(story, tmp_path):
    return story.write(tmp_path / "data.sqlite3")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_database_is_one_clear_error(share, database):
    content = database.read_bytes()
    database.write_bytes(content[:int(share * len(content))])
    with pytest.raises(BackendError, match="data.sqlite3: not a database of sPyNNaker 7.4.1"):
        provenance.read(database)


def test_damaged_bytes_are_a_clear_error_or_numbers(database):
    content, rng, errors = database.read_bytes(), np.random.default_rng(5), 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 40)):
            damaged[place] = rng.integers(256)
        database.write_bytes(damaged)
        try:
            assert judge(provenance.read(database)).verdict in VERDICTS
        except BackendError as error:
            errors += "not a database of sPyNNaker" in str(error)
    assert errors > 30


@pytest.mark.parametrize("make, message", [
    (lambda path: path.write_text("timestamp,spikes\n0,1\n"), "file is not a database"),
    (lambda path: path.write_bytes(b""), "no such table"),
    (lambda path: sqlite3.connect(path).execute("CREATE TABLE core(spin INTEGER)").connection.commit(), "no such"),
    (lambda path: path.mkdir(), "no provenance"),
    (lambda path: None, "no provenance")])
def test_a_foreign_file_is_one_clear_error(make, message, tmp_path):
    make(tmp_path / "data.sqlite3")
    with pytest.raises(BackendError, match=f"data.sqlite3: .*{message}"):
        provenance.read(tmp_path / "data.sqlite3")


def test_a_text_where_a_number_belongs_is_one_clear_error(database):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE core_provenance SET the_value = 'many' WHERE cp_id = 3")
    with pytest.raises(BackendError, match="'many' is no number"):
        provenance.read(database)


def test_reading_does_not_need_spynnaker():
    source = Path(provenance.__file__).read_text()
    modules = {name.name.split(".")[0] for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)
               for name in node.names}
    assert "sqlite3" in modules and not modules & {"spynnaker", "spinn_front_end_common", "pyNN"}


# ---------------------------------------------------------------- verdicts together


def test_verdicts_are_merged_to_the_worst(tmp_path):
    one = health_of(Story(np.random.default_rng(0)).add("combined", "Late spikes", 4), tmp_path)
    other = judge(Story(np.random.default_rng(0), (9,)).add("combined", "Late spikes", 9).provenance(tmp_path / "b"))
    both = merge([one, other])
    assert (both.verdict, both.runs) == ("suspect", 3)
    assert [f.value for f in both.findings if f.name == "late_spikes"] == [9]
    assert merge([]).verdict == worst([]) == "valid" and worst(["suspect", "invalid", "valid"]) == "invalid"


def test_an_invalid_run_is_not_to_be_stored_unless_forced(story, tmp_path, caplog):
    spoiled = story.add("combined", "Skipped synapses", 6).provenance(tmp_path / "data.sqlite3")
    watch = Watch("layer 1, training")
    watch.see(spoiled)
    with pytest.raises(HealthError, match="layer 1, training: the run is invalid.*--time-scale 2.*--force stores"):
        watch.settle()
    watch.force = True
    assert watch.settle()["verdict"] == "invalid" and "6 synaptic events are lost" in caplog.text


def test_without_a_machine_nothing_is_judged(caplog):
    watch = Watch("layer 1, training")
    watch.see(None)
    assert watch.settle() == {} and not caplog.text


# ---------------------------------------------------------------- the tables and sPyNNaker


def test_rules_are_told_apart_and_their_words_fit():
    for rule in RULES:
        assert rule.severity in ("note", "suspect", "invalid") and (rule.fix or rule.severity == "note"), rule
        assert rule.cause.format(n=3, item="x") and rule.fix.format(slower=2) is not None
    assert len({(rule.table, rule.item, rule.beside) for rule in RULES}) == len(RULES)
    assert not NEUTRAL & {rule.item for rule in RULES if rule.table == "core"}


def package_file(name):
    return Path(find_spec(name.split("/")[0]).submodule_search_locations[0]).parent / name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}: {rule.item}")
def test_the_source_of_a_rule_is_where_it_says(rule):
    name, line = rule.source.rsplit(":", 1)
    lines = package_file(name).read_text().splitlines()[int(line) - 1:int(line) + 2]
    if rule.table in ("core", "router", "connector", "gatherer"):
        assert rule.item in "".join(lines)
    else:
        assert lines[0].strip()


def test_the_tables_of_these_tests_are_sPyNNakers():
    def tables(text):
        statements = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) ?\((.*?)\);", re.sub("--.*", "", text), re.DOTALL)
        return {name: " ".join(columns.split()) for name, columns in statements}

    theirs = {name: columns for path in ("spinn_front_end_common/utilities/db.sql", "spynnaker/pyNN/utilities/db.sql")
              for name, columns in tables(package_file(path).read_text()).items()}
    for name, columns in tables(SCHEMA).items():
        assert columns.replace(" ,", ",") == theirs[name].replace(" ,", ","), name


def python_sources():
    for package in ("spynnaker", "spinn_front_end_common"):
        for path in package_file(package).rglob("*.py"):
            text = path.read_text()
            if "insert_" in text and path.name != "provenance_writer.py" and "external_devices" not in str(path):
                yield ast.parse(text)


def written(tree, method):
    """First text argument of every call of a method: constants, names resolved in the module, f-strings filled in."""
    names = {target.id: node.value.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
             and isinstance(node.value, ast.Constant) for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == method:
            for argument in node.args:
                if isinstance(argument, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else
                                  "" if getattr(part.value, "id", "") == "prefix" else "7" for part in argument.values)
                elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value
                elif getattr(argument, "attr", None) in names:
                    yield names[argument.attr]


def test_every_item_that_sPyNNaker_writes_is_known():
    known = NEUTRAL | {rule.item for rule in RULES}
    found = {item for tree in python_sources() for method in ("insert_core", "insert_router", "insert_connector",
             "insert_gatherer") for item in written(tree, method)}
    assert len(found) > 70 and found - known == set()


def test_every_remark_of_sPyNNaker_has_a_rule_or_is_explained():
    remarks = {remark for tree in python_sources() for remark in written(tree, "insert_report")}
    texts = (*EXPLAINED, *(rule.item for rule in RULES if rule.table == "remark"))
    assert len(remarks) > 40 and [r for r in remarks if not any(re.search(text, r) for text in texts)] == []


@pytest.mark.parametrize("size, page", [(1, 65536), (4096, 4096)])
def test_a_database_is_as_long_as_its_header_says(tmp_path, size, page):
    """A page of 65536 bytes is written as 1, for which two bytes have no room."""
    path = tmp_path / "data.sqlite3"
    header = bytes(16) + size.to_bytes(2, "big") + bytes(10) + (2).to_bytes(4, "big")
    path.write_bytes(header.ljust(2 * page, b"\0"))
    provenance._check_length(path)
    path.write_bytes(header.ljust(2 * page - 1, b"\0"))
    with pytest.raises(ValueError, match=f"cut off at {2 * page - 1} of {2 * page} bytes"):
        provenance._check_length(path)
