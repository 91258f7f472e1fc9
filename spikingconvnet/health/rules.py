"""What every item of sPyNNaker 7.4.1's provenance means for the numbers of a run: tables, for ``health.verdict``."""

from dataclasses import dataclass

from spikingconvnet.backends.spinnaker.provenance import CONNECTOR, CORE, GATHERER, RECORDING, ROUTER, TRANSFER

NOTE, SUSPECT, INVALID = "note", "suspect", "invalid"
DERIVED, ENGINE, REMARK = "derived", "engine", "remark"     # tables that no database has

SLOWER = "--time-scale {slower}"
SPREAD = SLOWER + ", or spread the input over more steps"
LARGER = SPREAD + ", or raise --packet-buffer"
LESS = "lower the weights, or raise the population's max_expected_summed_weight"
FEWER_ON_A_CORE = ("set neurons_per_core of the population (--mode check says how many fit), or take a smaller"
                   " --packet-buffer")
AGAIN = "run again"
BOARD = "run again; if it comes back, use another board"
ROUTES = "run again; if it comes back, sPyNNaker's keys or routes are wrong: its log says more"
FEWER = "record fewer neurons, or run fewer steps at a time"
DELAYS = "give every synapse a delay of at least one step"
SHORTER = "shorten the delays"
NOTHING = ""


@dataclass(frozen=True)
class Rule:
    """What one item means.

    Attributes
    ----------
    name : str
        The same as the local backend's where that predicts it.
    table, item : str
        See ``provenance.Reading``; the item of a remark is a regular expression.
    severity : str
        `NOTE` (no number depends on it), `SUSPECT` (some may, or it is not known) or `INVALID` (some do).
    cause, fix : str
        In words; ``{n}`` is the count and ``{slower}`` twice the time scale: to be repeated until nothing is found.
    source : str
        File and line of sPyNNaker 7.4.1 that names the item, or what it is derived from.
    above : int
        What may be counted without harm.
    largest : bool
        Whether the count is a largest value or a state, which is not to be added up.
    beside : str
        The rule is for cores that also have this item.
    """

    name: str
    table: str
    item: str
    severity: str
    cause: str
    fix: str
    source: str
    above: int = 0
    largest: bool = False
    beside: str = ""


RULES = (
    # The run as a whole.
    Rule("failed", DERIVED, "failed", INVALID,
         "the run did not come to its end, or could not be read", AGAIN,
         "spinn_front_end_common/interface/abstract_spinnaker_base.py:2062"),
    Rule("failed", DERIVED, "failed_for_memory", INVALID,
         "the run did not come to its end", FEWER_ON_A_CORE,
         "spinn_front_end_common/interface/abstract_spinnaker_base.py:2062"),
    Rule("core_memory", DERIVED, "core_memory", INVALID,
         "{n} times a core did not find enough of its own memory (DTCM)", FEWER_ON_A_CORE,
         "spinn_front_end_common/utilities/iobuf_extractor.py:39"),
    Rule("core_states", DERIVED, "core_states", INVALID,
         "{n} cores did not stop as they should", BOARD,
         "spinnman/exceptions.py:348"),
    Rule("no_provenance", DERIVED, "no_provenance", SUSPECT,
         "the machine has said nothing about this run", AGAIN,
         "spinn_front_end_common/interface/interface_functions/placements_provenance_gatherer.py:27"),
    Rule("silent_core", DERIVED, "silent_core", SUSPECT,
         "{n} cores said nothing about some of the runs", AGAIN,
         "spinn_front_end_common/interface/interface_functions/placements_provenance_gatherer.py:58"),
    Rule("silent_router", DERIVED, "silent_router", SUSPECT,
         "{n} routers said nothing about some of the runs", AGAIN,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:90"),
    Rule("steps_missing", DERIVED, "steps_missing", INVALID,
         "cores stopped {n} steps before or after the end of the run", AGAIN,
         "spynnaker/pyNN/models/neuron/population_machine_neurons.py:188"),
    Rule("packets_missing", DERIVED, "packets_missing", INVALID,
         "sources sent {n} packets less or more than they were given spikes", SPREAD,
         "spinn_front_end_common/utility_models/reverse_ip_tag_multicast_source_machine_vertex.py:764"),
    Rule("time_scale", DERIVED, "time_scale", SUSPECT,
         "the board ran with another time scale than the one asked for", AGAIN,
         "spinn_front_end_common/utilities/db.sql:33"),
    Rule("recording_lost", RECORDING, "missing_data", INVALID,
         "{n} recordings lack data, because they did not fit their buffers", FEWER,
         "spinn_front_end_common/interface/buffer_management/buffer_manager.py:77"),
    Rule("recording_gaps", RECORDING, "missing_steps", INVALID,
         "{n} recorded steps are missing: cores did not come to them", SLOWER,
         "spynnaker/pyNN/utilities/neo_buffer_database.py:810"),
    # Packets on their way.
    Rule("dropped_packets", DERIVED, "dropped_packets", INVALID,
         "{n} packets were dropped by routers and never sent again", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:155"),
    Rule("missed_reinjection", ROUTER, "Missed_For_Reinjection", INVALID,
         "{n} dropped packets came too fast for reinjection and are lost", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:263"),
    Rule("reinjection_overflow", ROUTER, "Reinjection_Overflows", INVALID,
         "{n} dropped packets did not fit the queue of reinjection and are lost", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:271"),
    Rule("not_reinjected", DERIVED, "not_reinjected", SUSPECT,
         "{n} dropped packets were received for reinjection and not sent again", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:259"),
    Rule("reinjected", ROUTER, "Reinjected", NOTE,
         "{n} packets were dropped and sent again", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:279"),
    Rule("unrouted", ROUTER, "Dropped_Multicast_Packets_via_local_transmission", INVALID,
         "{n} packets of a chip's own cores had no route and are lost", ROUTES,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:167"),
    Rule("default_routed", REMARK, r"router on .* has default routed", SUSPECT,
         "packets went straight on where a router has no such route", ROUTES,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:184"),
    Rule("link_dumps", ROUTER, "Dumped_from_a_Link", SUSPECT,
         "{n} times a link did not take a packet", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:283"),
    Rule("core_dumps", ROUTER, "Dumped_from_a_processor", SUSPECT,
         "{n} times a core did not take a packet", SPREAD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:297"),
    Rule("router_errors", ROUTER, "Error status", SUSPECT,
         "routers saw damaged packets (error status {n:#x})", BOARD,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:246", largest=True),
    Rule("dropped_p2p", ROUTER, "Dropped_P2P_Packets", NOTE,
         "{n} messages between chips were dropped; they are repeated", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:210"),
    Rule("dropped_nn", ROUTER, "Dropped_NN_Packets", NOTE,
         "{n} messages between neighbours were dropped; they are repeated", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:222"),
    Rule("dropped_fr", ROUTER, "Dropped_FR_Packets", NOTE,
         "{n} packets of the data transfer were dropped; they are repeated", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:234"),
    Rule("transfer_drops", TRANSFER, "Dropped_Multicast_Packets", NOTE,
         "{n} packets were dropped while data were moved; they are repeated", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:155"),
    Rule("transfer_drops", TRANSFER, "Dropped_FR_Packets", NOTE,
         "{n} packets were dropped while data were moved; they are repeated", NOTHING,
         "spinn_front_end_common/interface/interface_functions/router_provenance_gatherer.py:234"),
    Rule("lost_sequences", GATHERER, "Lost_seq_nums", NOTE,
         "{n} messages were lost while results were read; they are repeated", NOTHING,
         "spinn_front_end_common/utility_models/data_speed_up_packet_gatherer_machine_vertex.py:1065"),
    # Packets that reach a core.
    Rule("lost_input", CORE, "Times_the_input_buffer_lost_packets", INVALID,
         "{n} packets found the input buffer of a core full and are lost", LARGER,
         "spynnaker/pyNN/models/neuron/population_machine_vertex.py:105"),
    Rule("late_packets", CORE, "Number_of_late_spikes", INVALID,
         "{n} packets were handled a step late by cores that do not make up for it", SPREAD,
         "spynnaker/pyNN/models/neuron/population_machine_local_only_combined_vertex.py:102",
         beside="Max_spikes_per_time_step"),
    Rule("late_packets", CORE, "Number_of_late_spikes", INVALID,
         "{n} packets were delayed a step too long", SPREAD,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:105",
         beside="saturation_count"),
    Rule("late_packets", CORE, "Number_of_late_spikes", SUSPECT,
         "{n} packets were handled a step late", SPREAD,
         "spynnaker/pyNN/models/neuron/population_machine_vertex.py:109"),
    Rule("late_spikes", CORE, "Late spikes", SUSPECT,
         "{n} spikes came in a later step than they were sent in", SPREAD,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:67"),
    Rule("skipped_synapses", DERIVED, "skipped_synapses", INVALID,
         "{n} synaptic events are lost, because a spike came later than its delay", SPREAD,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:66"),
    Rule("delay_saturated", CORE, "saturation_count", INVALID,
         "{n} packets are lost in delay extensions: more than 255 of a neuron in a step", SPREAD,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:96"),
    Rule("delay_neuron", CORE, "invalid_neuron_count", INVALID,
         "{n} packets for delay extensions had no such neuron", ROUTES,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:97"),
    Rule("delay_key", CORE, "invalid_key_count", INVALID,
         "{n} packets for delay extensions had no such key", ROUTES,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:98"),
    Rule("delay_unprocessed", DERIVED, "delay_unprocessed", INVALID,
         "delay extensions have not handled {n} packets that they received", SPREAD,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:100"),
    Rule("delay_unadded", DERIVED, "delay_unadded", SUSPECT,
         "delay extensions have not kept {n} packets that they handled", ROUTES,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:101"),
    Rule("host_keys", CORE, "Incorrect_keys", SUSPECT,
         "{n} packets of the host had a wrong key", ROUTES,
         "spinn_front_end_common/utility_models/reverse_ip_tag_multicast_source_machine_vertex.py:771"),
    Rule("host_packets", CORE, "Incorrect_packets", SUSPECT,
         "{n} packets of the host were wrong", ROUTES,
         "spinn_front_end_common/utility_models/reverse_ip_tag_multicast_source_machine_vertex.py:777"),
    Rule("host_late", CORE, "Late_packets", SUSPECT,
         "{n} packets of the host came too late to be sent", SLOWER,
         "spinn_front_end_common/utility_models/reverse_ip_tag_multicast_source_machine_vertex.py:783"),
    Rule("live_lost", CORE, "lost_packets_without_payload", SUSPECT,
         "{n} packets of the live output are lost", SLOWER,
         "spinn_front_end_common/utility_models/live_packet_gather_machine_vertex.py:137"),
    Rule("live_lost", CORE, "lost_packets_with_payload", SUSPECT,
         "{n} packets of the live output are lost", SLOWER,
         "spinn_front_end_common/utility_models/live_packet_gather_machine_vertex.py:147"),
    # Cores that cannot keep up.
    Rule("timer_overruns", CORE, "Times_the_timer_tic_over_ran", INVALID,
         "{n} steps began before the one before was done", SLOWER,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:49"),
    Rule("timer_behind", CORE, "Max_number_of_times_timer_tic_over_ran", INVALID,
         "cores fell up to {n} steps behind", SLOWER,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:50", largest=True),
    Rule("neuron_overruns", CORE, "Timer tick overruns", INVALID,
         "{n} updates of neurons took longer than a step", SLOWER,
         "spynnaker/pyNN/models/neuron/population_neurons_machine_vertex.py:218"),
    Rule("callback_queue", CORE, "Times_the_callback_queue_was_overloaded", INVALID,
         "{n} tasks of a core are lost: its queue was full", SLOWER,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:55"),
    Rule("dma_queue", CORE, "Times_the_dma_queue_was_overloaded", INVALID,
         "{n} DMA transfers are lost: the queue was full", SLOWER,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:51"),
    Rule("user_queue", CORE, "Times_the_user_queue_was_overloaded", INVALID,
         "{n} events of a core are lost: the queue was full", SLOWER,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:52"),
    Rule("background_queue", CORE, "Times_the_background_queue_overloaded", INVALID,
         "{n} updates of neurons are lost: the queue was full", SLOWER,
         "spynnaker/pyNN/models/neuron/population_machine_vertex.py:111"),
    Rule("backgrounds_queued", CORE, "Max_backgrounds_queued", SUSPECT,
         "up to {n} updates of neurons waited at once", SLOWER,
         "spynnaker/pyNN/models/neuron/population_machine_vertex.py:112", above=1, largest=True),
    Rule("transmission", CORE, "Times_the_transmission_of_spikes_overran", SUSPECT,
         "{n} spikes waited for the network to take them", SPREAD,
         "spinn_front_end_common/interface/provenance/provides_provenance_data_from_machine_impl.py:53"),
    Rule("transfer_overruns", CORE, "Times_the_transfer_did_not_complete_in_time", INVALID,
         "{n} times synaptic inputs came too late from one core to the other", SLOWER,
         "spynnaker/pyNN/models/neuron/population_synapses_machine_vertex_common.py:105"),
    Rule("skipped_steps", CORE, "Times_a_time_step_was_skipped", INVALID,
         "{n} steps without any synaptic input, because the one before was not done", SLOWER,
         "spynnaker/pyNN/models/neuron/population_synapses_machine_vertex_common.py:106"),
    # Numbers that do not fit; these do not depend on time, and the local backend does the same.
    Rule("saturated", CORE, "Times_synaptic_weights_have_saturated", SUSPECT,
         "{n} inputs did not fit 16 bits and were cut", LESS,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:58"),
    Rule("saturated", CORE, "Times_plastic_synaptic_weights_have_saturated", SUSPECT,
         "{n} plastic inputs did not fit 16 bits and were cut", LESS,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:59"),
    Rule("wrapped_weights", ENGINE, "wrapped_weights", SUSPECT,
         "{n} weights do not fit their bits and became others", LESS,
         "spynnaker/pyNN/models/neuron/synapse_dynamics/synapse_dynamics_static.py:131"),
    Rule("silent_delays", ENGINE, "silent_delays", SUSPECT,
         "{n} plastic synapses are never delivered: their delay is the length of the ring buffer", SHORTER,
         "spynnaker/pyNN/models/neuron/synapse_dynamics/synapse_dynamics_static.py:126"),
    Rule("silent_delays", DERIVED, "skipped_silent", NOTE,
         "{n} synaptic events of plastic synapses that are never delivered", NOTHING,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:66"),
    Rule("clipped_delays", CONNECTOR, "Times_synaptic_delays_got_clipped", SUSPECT,
         "{n} delays were shorter than a step and became one", DELAYS,
         "spynnaker/pyNN/models/neural_projections/connectors/abstract_connector.py:558"),
    Rule("lost_weights", ENGINE, "lost_weights", NOTE,
         "{n} weights round to zero", NOTHING,
         "spynnaker/pyNN/models/neuron/synapse_dynamics/synapse_dynamics_static.py:131"),
    Rule("extended_delays", ENGINE, "extended_delays", NOTE,
         "{n} delays need a delay extension", NOTHING,
         "spynnaker/pyNN/models/utility_models/delays/delay_extension_machine_vertex.py:44"),
    # Work for nothing.
    Rule("ghost_rows", CORE, "Number of failed pop table searches", NOTE,
         "{n} packets came to cores that have no synapses for them", NOTHING,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:61"),
    Rule("invalid_rows", CORE, "Invalid Master Pop hits", NOTE,
         "{n} packets came to cores whose synapses for them are none", NOTHING,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:63"),
    Rule("bit_fields", CORE, "N bit fields not able to be read into DTCM", NOTE,
         "{n} filters of spikes did not fit a core's memory", NOTHING,
         "spynnaker/pyNN/models/neuron/population_machine_synapses_provenance.py:62"),
)

UNKNOWN = Rule("unknown", CORE, "", SUSPECT, "{n} of {item!r}, which is not known", AGAIN, "")
UNKNOWN_REMARK = Rule("remark", REMARK, "", SUSPECT, "sPyNNaker says: {item}", AGAIN, "")

# Items that count work done or are looked at together with others.
NEUTRAL = frozenset((
    "Total_pre_synaptic_events", "How many packets were filtered by the bitfield filterer.", "Max late spike",
    "Skipped synapses",
    "DMA's that were completed", "How many spikes were processed", "Number_of_rewires", "Max_filled_size_input_buffer",
    "Max_spikes_per_time_step", "Max_spikes_received_in_time_step", "Max_spikes_processed_in_time_step",
    "Max_transfer_overrun", "Earliest_receive_time", "Latest_receive_time", "Max_spike_overflow_in_time_step",
    "Last_timer_tic_the_core_ran_to", "Earliest_send_time", "Latest_Send_time", "Number_of_packets_received",
    "Number_of_packets_processed", "Number_of_packets_added_to_delay_slot", "Number_of_packets_sent",
    "Number_of_times_delayed_to_spread_traffic", "Received_sdp_packets", "Send_multicast_packets", "gathered_events",
    "messages_sent_to_host", "Sent_Commands", "Sent_SDP_Packets", "Received_SDP_Packets", "Speed_Up_Input_Streams",
    "Speed_Up_Output_Streams", "Local_Multicast_Packets", "External_Multicast_Packets", "Dropped_Multicast_Packets",
    "default_routed_external_multicast_packets", "Entries", "Unique_Routes", "Local_P2P_Packets",
    "External_P2P_Packets", "Local_NN_Packets", "External_NN_Packets", "Local_FR_Packets", "External_FR_Packets",
    "Received_For_Reinjection", "bit_fields_merged", "Extraction time", "No Extraction time", "time_scale_factor"))

# What programs say that do not get a block of the DTCM: texts of the .dict files beside sPyNNaker's binaries. Recording
# regions are in the SDRAM, and callbacks take nothing.
NO_MEMORY = ("DTCM|Out of memory|allocated? (?!recording region|SDP|DMA)|"
             "Could not initialise (DMA buffers|weight region)|setting up input buffer")

# sPyNNaker's remarks on items that have a rule, and two that say nothing about a fault.
EXPLAINED = (
    "The router on .* has dropped", "The router on .* error status", "The router on chip .* dropped",
    "The extra monitor on .* has (missed|dropped|detected)", "The transmission buffer for", "The callback queue for",
    "The DMA queue for", "The USER queue for", "A Timer tick callback in", "The timer for .* fell behind",
    "The weights from the .* saturated", "The number of failed population table searches",
    "On .*, the filter for stopping redundant DMAs", "On .*, there were .* (keys received|skipped)",
    "The input buffer for", "On .* packets .* (arrived too late|arrived too|too late)",
    "A maximum of .* background tasks", "On .* a maximum of .* background tasks", "The background queue overloaded",
    "On .* the background queue overloaded", "On .*, the transfer of synaptic inputs", "On .*, synaptic processing did",
    "Vertex .* overran", "The delay extension", "The delays in the connector", "The .* has lost .* packets",
    "During the extraction of data", "Keys were received by", "SDP Packets were received by",
    "No SDP packets were received by", "No multicast packets were sent by")
