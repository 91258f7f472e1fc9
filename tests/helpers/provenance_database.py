"""Provenance databases made by hand: what sPyNNaker 7.4.1 writes about runs, clean or with something wrong.

Tables from ``spinn_front_end_common/utilities/db.sql`` and ``spynnaker/pyNN/utilities/db.sql``; which core writes which
items from the classes that call ``ProvenanceWriter.insert_core``. `test_verdict.py` compares both with an installed
sPyNNaker.
"""

import sqlite3
from dataclasses import replace
from itertools import product

from spikingconvnet.backends.spinnaker import provenance
from spikingconvnet.backends.spinnaker.provenance import Core

SCHEMA = """
CREATE TABLE IF NOT EXISTS core(
    core_id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER NOT NULL, y INTEGER NOT NULL, processor INTEGER NOT NULL,
    core_name STRING);
CREATE TABLE IF NOT EXISTS setup(
    setup_id INTEGER PRIMARY KEY CHECK (setup_id = 0), hardware_time_step_ms FLOAT NOT NULL,
    time_scale_factor INTEGER);
CREATE TABLE IF NOT EXISTS extraction(
    extraction_id INTEGER PRIMARY KEY ASC AUTOINCREMENT, run_timestep INTEGER NOT NULL, n_run INTEGER NOT NULL,
    n_loop INTEGER, extract_time INTEGER);
CREATE TABLE IF NOT EXISTS recording_region(
    recording_region_id INTEGER PRIMARY KEY AUTOINCREMENT,
    core_id INTEGER NOT NULL REFERENCES core(core_id) ON DELETE RESTRICT, local_region_index INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS recording_data(
    recording_data_id INTEGER PRIMARY KEY AUTOINCREMENT,
    recording_region_id INTEGER NOT NULL REFERENCES recording_region(recording_region_id) ON DELETE RESTRICT,
    extraction_id INTEGER NOT NULL REFERENCES extraction(extraction_id) ON DELETE RESTRICT, content BLOB NOT NULL,
    content_len INTEGER NOT NULL, missing_data INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS gatherer_provenance(
    gather_id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER NOT NULL, y INTEGER NOT NULL, address INTEGER NOT NULL,
    bytes INTEGER NOT NULL, run INTEGER NOT NULL, description STRING NOT NULL, the_value FLOAT NOT NULL);
CREATE TABLE IF NOT EXISTS router_provenance(
    chip_id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER NOT NULL, y INTEGER NOT NULL, description STRING NOT NULL,
    the_value INTEGER NOT NULL, expected INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS core_provenance(
    cp_id INTEGER PRIMARY KEY AUTOINCREMENT,
    core_id INTEGER NOT NULL REFERENCES core(core_id) ON DELETE RESTRICT, description STRING NOT NULL,
    the_value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reports(message STRING NOT NULL);
CREATE TABLE IF NOT EXISTS connector_provenance(
    connector_id INTEGER PRIMARY KEY AUTOINCREMENT, pre_population STRING NOT NULL, post_population STRING NOT NULL,
    the_type  STRING NOT NULL, description STRING NOT NULL, the_value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS recording (
    rec_id INTEGER PRIMARY KEY AUTOINCREMENT,
    pop_id INTEGER NOT NULL REFERENCES population(pop_id) ON DELETE RESTRICT, variable TEXT NOT NULL, data_type TEXT,
    buffered_type TEXT NOT NULL, t_start float NOT NULL, sampling_interval_ms float, units TEXT, n_colour_bits INT);
CREATE TABLE IF NOT EXISTS region_metadata(
    region_metadata_id INTEGER PRIMARY KEY AUTOINCREMENT,
    rec_id INTEGER NOT NULL REFERENCES recording(rec_id) ON DELETE RESTRICT,
    region_id INTEGER NOT NULL REFERENCES recording_region(recording_region_id) ON DELETE RESTRICT,
    recording_neurons_st TEXT, vertex_slice TEXT, base_key INT);
"""
TRACES = ("v", "gsyn_exc")      # recorded by cores of the kind "combined", of three neurons
NEURONS_RECORDED, ROW = "4:5,8", 4 * (1 + 3)

SYSTEM = ("Times_the_transmission_of_spikes_overran", "Times_the_callback_queue_was_overloaded",
          "Times_the_dma_queue_was_overloaded", "Times_the_user_queue_was_overloaded", "Times_the_timer_tic_over_ran",
          "Max_number_of_times_timer_tic_over_ran")
NEURONS = ("Last_timer_tic_the_core_ran_to", "Earliest_send_time", "Latest_Send_time")
SYNAPSES = ("Total_pre_synaptic_events", "Times_synaptic_weights_have_saturated",
            "Times_plastic_synaptic_weights_have_saturated", "Number of failed pop table searches",
            "N bit fields not able to be read into DTCM", "Invalid Master Pop hits",
            "How many packets were filtered by the bitfield filterer.", "Skipped synapses", "Late spikes",
            "Max late spike")
PACKETS = ("Times_the_input_buffer_lost_packets", "DMA's that were completed", "How many spikes were processed",
           "Number_of_rewires", "Number_of_late_spikes", "Max_filled_size_input_buffer")
BACKGROUND = ("Max_backgrounds_queued", "Times_the_background_queue_overloaded")
ITEMS = {       # by kind of core
    "combined": SYSTEM + NEURONS + SYNAPSES + PACKETS + BACKGROUND,
    "neurons": SYSTEM + NEURONS + ("Timer tick overruns",),
    "synapses": SYSTEM + SYNAPSES + PACKETS + (
        "Max_spikes_received_in_time_step", "Max_spikes_processed_in_time_step",
        "Times_the_transfer_did_not_complete_in_time", "Times_a_time_step_was_skipped", "Max_transfer_overrun",
        "Earliest_receive_time", "Latest_receive_time", "Max_spike_overflow_in_time_step"),
    "convolution": SYSTEM + NEURONS + ("Max_spikes_per_time_step", "Times_the_input_buffer_lost_packets",
                                       "Number_of_late_spikes", "Max_filled_size_input_buffer") + BACKGROUND,
    "source": (*SYSTEM, "Received_sdp_packets", "Send_multicast_packets", "Incorrect_keys", "Incorrect_packets",
               "Late_packets"),
    "delay": (*SYSTEM, "saturation_count", "invalid_neuron_count", "invalid_key_count", "Number_of_packets_received",
              "Number_of_packets_processed", "Number_of_packets_added_to_delay_slot", "Number_of_packets_sent",
              "Times_the_input_buffer_lost_packets", "Number_of_times_delayed_to_spread_traffic",
              "Number_of_late_spikes", *BACKGROUND),
    "live": (*SYSTEM, "lost_packets_without_payload", "lost_packets_with_payload", "gathered_events",
             "messages_sent_to_host")}
WORK = ("Total_pre_synaptic_events", "DMA's that were completed", "How many spikes were processed", "Number_of_rewires",
        "Max_filled_size_input_buffer", "Max_spikes_per_time_step", "Max_spikes_received_in_time_step",
        "Max_spikes_processed_in_time_step", "Number_of_packets_sent", "gathered_events", "messages_sent_to_host",
        "How many packets were filtered by the bitfield filterer.", "Number_of_times_delayed_to_spread_traffic",
        "Number of failed pop table searches", "Invalid Master Pop hits", "N bit fields not able to be read into DTCM",
        "Earliest_send_time", "Latest_Send_time", "Earliest_receive_time", "Latest_receive_time")
ROUTER = ("Local_Multicast_Packets", "External_Multicast_Packets", "Dropped_Multicast_Packets",
          "Dropped_Multicast_Packets_via_local_transmission", "default_routed_external_multicast_packets", "Entries",
          "Local_P2P_Packets", "External_P2P_Packets", "Dropped_P2P_Packets", "Local_NN_Packets", "External_NN_Packets",
          "Dropped_NN_Packets", "Local_FR_Packets", "External_FR_Packets", "Dropped_FR_Packets", "Error status")
REINJECTION = ("Received_For_Reinjection", "Missed_For_Reinjection", "Reinjection_Overflows", "Reinjected",
               "Dumped_from_a_Link", "Dumped_from_a_processor")
COUNTED = {"Local_Multicast_Packets", "External_Multicast_Packets", "Local_P2P_Packets", "External_P2P_Packets",
           "Local_NN_Packets", "External_NN_Packets", "Local_FR_Packets", "External_FR_Packets",
           "default_routed_external_multicast_packets"}
KINDS = tuple(ITEMS)


class Story:
    """Runs of a machine: clean ones, to which `add` adds what goes wrong.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws how much work every core has had, which is no fault.
    ends : tuple of int
        Last step of every run.
    chips : int
        Each has one core of every kind.
    reinjection : bool
        Whether the machine sends dropped packets again.
    """

    def __init__(self, rng, ends=(20, 50), chips=1, reinjection=False):
        self.rng, self.ends, self.reinjection = rng, ends, reinjection
        self.chips = [(x, 0) for x in range(chips)]
        self.cores = {(x, y, p + 1): kind for x, y in self.chips for p, kind in enumerate(KINDS)}
        self.work = {(core, item): sorted(rng.integers(0, 500, len(ends)).tolist())
                     for core, kind in self.cores.items() for item in ITEMS[kind] if item in WORK}
        self.sent = {core: sorted(rng.integers(0, 900, len(ends)).tolist()) for core in self.cores}
        self.added, self.gone, self.messages, self.time_scale, self.missing_data = {}, set(), [], 1, set()
        self.clipped, self.lost_sequences, self.gaps = 0, 0, {}     # gaps: steps, by variable and run
        self.traffic = {(chip, item): rng.integers(0, 5000, 3 * len(ends) + 1).tolist()
                        for chip in self.chips for item in sorted(COUNTED)}

    def add(self, where, item, value, run=0):
        """Count `value` more of an item: at a core of a kind or a router, from a run on; routers with their phase."""
        self.added[where, item, run] = self.added.get((where, item, run), 0) + value
        return self

    def _core_value(self, core, kind, item, run):
        extra = sum(v for (where, name, first), v in self.added.items()
                    if where in (core, kind) and name == item and first <= run)
        if item == "Last_timer_tic_the_core_ran_to":
            return self.ends[run] + extra
        if item == "Max_backgrounds_queued":
            return 1 + extra
        if item in ("Send_multicast_packets", "Number_of_packets_received", "Number_of_packets_processed",
                    "Number_of_packets_added_to_delay_slot"):
            return self.sent[core][run] + extra
        return (self.work[core, item][run] if (core, item) in self.work else 0) + extra

    def _router_value(self, chip, item, phase, run):
        extra = sum(v for (where, name, at), v in self.added.items()
                    if where == chip and ((name == f"{phase}{item}" and at == run) or (item in REINJECTION
                                          and name == f"Run{item}" and at <= run and phase != "Load")))
        if item == "Entries":
            return 12 + extra
        position = 0 if phase == "Load" else 1 + 2 * run + (phase == "Extract")
        return (self.traffic[chip, item][position] if item in COUNTED else 0) + extra

    def write(self, path):
        """Write the database: its path."""
        connection = sqlite3.connect(path)
        connection.executescript(SCHEMA)
        ids = {}
        for core, kind in self.cores.items():
            ids[core] = connection.execute("INSERT INTO core(x, y, processor, core_name) VALUES(?, ?, ?, ?)",
                                           (*core, kind)).lastrowid
        connection.execute("INSERT INTO setup VALUES(0, 1.0, ?)", (self.time_scale,))
        self._routers(connection, "Load", 0)
        for run, end in enumerate(self.ends):
            self._routers(connection, "Run", run)
            extraction = connection.execute("INSERT INTO extraction(run_timestep, n_run, n_loop, extract_time)"
                                            " VALUES(?, ?, 1, 0)", (end, run + 1)).lastrowid
            for core in [core for core, kind in self.cores.items() if kind in ("combined", "convolution", "neurons")]:
                region = connection.execute("INSERT INTO recording_region(core_id, local_region_index) VALUES(?, ?)",
                                            (ids[core], run)).lastrowid
                connection.execute("INSERT INTO recording_data(recording_region_id, extraction_id, content,"
                                   " content_len, missing_data) VALUES(?, ?, x'00', 1, ?)",
                                   (region, extraction, int((self.cores[core], run) in self.missing_data)))
            self._traces(connection, [ids[core] for core, kind in self.cores.items() if kind == "combined"], run,
                         extraction)
            self._routers(connection, "Extract", run)
            for core, kind in self.cores.items():
                rows = [(ids[core], item, self._core_value(core, kind, item, run)) for item in ITEMS[kind]]
                if (kind, run) not in self.gone:
                    connection.executemany("INSERT INTO core_provenance(core_id, description, the_value)"
                                           " VALUES(?, ?, ?)", rows)
            connection.execute("INSERT INTO connector_provenance(pre_population, post_population, the_type,"
                               " description, the_value) VALUES('in 0', 'out 0', 'FromListConnector',"
                               " 'Times_synaptic_delays_got_clipped', ?)", (self.clipped,))
            connection.execute("INSERT INTO gatherer_provenance(x, y, address, bytes, run, description, the_value)"
                               " VALUES(0, 0, 1610612736, 400, ?, 'Extraction time', 0.5)", (run + 1,))
            if self.lost_sequences:
                connection.execute("INSERT INTO gatherer_provenance(x, y, address, bytes, run, description, the_value)"
                                   " VALUES(0, 0, 1610612736, 400, ?, 'Lost_seq_nums', ?)",
                                   (run + 1, self.lost_sequences))
        connection.executemany("INSERT INTO reports VALUES(?)", [(message,) for message in self.messages])
        connection.commit()
        connection.close()
        return path

    def _traces(self, connection, cores, run, extraction):
        """What cores have recorded of membranes, every step with its time before it."""
        steps = self.ends[run] - (self.ends[run - 1] if run else 0)
        for number, (core, name) in enumerate(product(cores, TRACES), 1):
            if run == 0:
                region = connection.execute("INSERT INTO recording_region(core_id, local_region_index) VALUES(?, ?)",
                                            (core, 100 + number)).lastrowid
                connection.execute("INSERT INTO recording VALUES(?, 1, ?, 'S1615', 'MATRIX', 0, 1, '', 4)",
                                   (number, name))
                connection.execute("INSERT INTO region_metadata(rec_id, region_id, recording_neurons_st)"
                                   " VALUES(?, ?, ?)", (number, region, NEURONS_RECORDED))
            size = ROW * (steps - self.gaps.get((name, run), 0))
            connection.execute(
                "INSERT INTO recording_data(recording_region_id, extraction_id, content, content_len, missing_data)"
                " SELECT region_id, ?, x'00', ?, 0 FROM region_metadata WHERE rec_id = ?", (extraction, size, number))

    def _routers(self, connection, phase, run):
        for chip in self.chips:
            if ("router", run) in self.gone and phase == "Run":
                continue
            items = ROUTER + (REINJECTION if self.reinjection else ())
            rows = [(*chip, f"{phase}{item}", self._router_value(chip, item, phase, run)) for item in items]
            connection.executemany("INSERT INTO router_provenance(x, y, description, the_value, expected)"
                                   " VALUES(?, ?, ?, ?, 1)", [*rows, (*chip, "Unique_Routes", 5)])

    def provenance(self, path):
        """The database as the backend hands it on, with what the backend knows itself."""
        cores = tuple(Core(*core, kind, 0, 99, self.sent[core][-1] if kind == "source" else None)
                      for core, kind in self.cores.items())
        return replace(provenance.read(self.write(path)), cores=cores, chips=tuple(self.chips), ends=self.ends,
                       time_scale=1)
