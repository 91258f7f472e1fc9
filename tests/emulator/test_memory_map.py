"""The memory map against SpiNNMan's, which was written by others from the same headers."""

import struct

import pytest
from spinnman.messages.scp.enums import Signal as TheirSignal
from spinnman.messages.spinnaker_boot import SystemVariableDefinition
from spinnman.model.cpu_info import CPUInfo
from spinnman.model.enums import CPUState as TheirState
from spinnman.model.enums import RunTimeError

from spikingconvnet.emulator import memory_map
from spikingconvnet.emulator.memory_map import RTE, SV, VCPU, CPUState, Signal

THEIRS = {
    "P2P_ADDR": "y", "P2P_DIMS": "y_size", "P2P_UP": "is_peer_to_peer_available", "ETH_ADDR": "nearest_ethernet_y",
    "HW_VER": "hardware_version", "ETH_UP": "is_ethernet_available", "CLOCK_MS": "clock_milliseconds",
    "CPU_CLK": "cpu_clock_mhz", "MEM_CLK": "sdram_clock_frequency_mhz", "FORWARD": "nearest_neighbour_forward",
    "RETRY": "nearest_neighbour_retry", "PEEK_TIME": "link_peek_timeout_microseconds", "P2P_ROOT": "p2p_root_y",
    "CLOCK_DRIFT": "clock_drift", "RANDOM": "random_seed", "ROOT_CHIP": "is_root_chip",
    "NUM_BUF": "n_shared_message_buffers", "SYSRAM_HEAP": "system_ram_heap_address",
    "SDRAM_HEAP": "sdram_heap_address", "IOBUF_SIZE": "iobuf_size", "SDRAM_BUFS": "system_sdram_bytes",
    "SYSBUF_SIZE": "system_buffer_words", "LINK_EN": "links_available",
    "SHM_FREE": "shared_message_first_free_address", "SHM_COUNT": "shared_message_count_in_use",
    "SHM_MAX": "shared_message_maximum_used", "P2V_MAP": "physical_to_virtual_core_map",
    "V2P_MAP": "virtual_to_physical_core_map", "NUM_CPUS": "n_working_cores", "ROM_CPUS": "n_scamp_working_cores",
    "SDRAM_BASE": "sdram_base_address", "SYSRAM_BASE": "system_ram_base_address",
    "SDRAM_SYS": "system_sdram_base_address", "VCPU_BASE": "cpu_information_base_address",
    "SYS_HEAP": "system_sdram_heap_address", "RTR_COPY": "router_table_copy_address",
    "ALLOC_TAG": "allocated_tag_table_address", "RTR_FREE": "first_free_router_entry",
    "P2P_ACTIVE": "n_active_peer_to_peer_addresses", "APP_DATA": "app_data_table_address",
    "SHM_BUF": "shared_message_buffer_address", "MBOX_FLAGS": "monitor_mailbox_flags",
    "IP_ADDR": "ethernet_ip_address", "FR_COPY": "fixed_route_copy", "SW_VER": "padding_4"}


@pytest.mark.parametrize("name", THEIRS)
def test_a_system_variable_lies_where_spinnman_looks_for_it(name):
    assert getattr(SV, name) == SystemVariableDefinition[THEIRS[name]].offset


def test_no_system_variable_is_left_out():
    assert {name for name in vars(SV) if name.isupper()} - set(THEIRS) == {"MAP_SIZE", "SIZE"}
    assert SV.MAP_SIZE == len(SystemVariableDefinition.physical_to_virtual_core_map.default) and SV.SIZE == 256


def test_defaults_are_those_that_spinnman_boots_with():
    for ours, theirs in ((memory_map.CPU_CLOCK_MHZ, "cpu_clock_mhz"), (memory_map.IOBUF_SIZE, "iobuf_size"),
                         (memory_map.SYSTEM_BUFFER_WORDS, "system_buffer_words"),
                         (memory_map.SYSTEM_HEAP_TOP - memory_map.SDRAM_SYSTEM, "system_sdram_bytes")):
        assert ours == SystemVariableDefinition[theirs].default


def test_states_and_run_time_errors_are_spinnmans():
    names = {"PWRDN": "POWERED_DOWN", "RTE": "RUN_TIME_EXCEPTION", "WDOG": "WATCHDOG", "INIT": "INITIALISING",
             "WAIT": "READY", "SARK": "C_MAIN", "RUN": "RUNNING", "PAUSE": "PAUSED", "EXIT": "FINISHED"}
    for state in CPUState:
        assert TheirState[names.get(state.name, state.name)].value == state
    assert [RunTimeError(code).name for code in RTE] == ["RESET", "UNDEF", "SVC", "PABT", "DABT"]


def test_signals_have_spinnmans_numbers_in_its_order():
    assert [int(signal) for signal in Signal] == [signal.value for signal in TheirSignal]
    assert (Signal.STOP, Signal.START, Signal.EXIT, Signal.TIMER) == tuple(
        TheirSignal[name].value for name in ("STOP", "START", "EXIT", "TIMER"))


def test_spinnman_reads_what_is_written_into_the_block_of_a_core():
    block = bytearray(VCPU.SIZE)
    for offset, form, *values in ((VCPU.REGISTERS, "<8I", *range(8)), (VCPU.PSR, "<I", 11), (VCPU.SP, "<I", 12),
                                  (VCPU.LR, "<I", 13), (VCPU.RT_CODE, "B", RTE.DABT), (VCPU.PHYS_CPU, "B", 14),
                                  (VCPU.CPU_STATE, "B", CPUState.PAUSE), (VCPU.APP_ID, "B", 15),
                                  (VCPU.MBOX_AP_MSG, "<I", 16), (VCPU.MBOX_MP_MSG, "<I", 17),
                                  (VCPU.MBOX_AP_CMD, "B", 1), (VCPU.MBOX_MP_CMD, "B", 3), (VCPU.TIME, "<I", 18),
                                  (VCPU.APP_NAME, "5s", b"model"), (VCPU.IOBUF, "<I", 19), (VCPU.SW_VER, "<I", 20),
                                  (VCPU.USER, "<4I", 21, 22, 23, 24)):
        struct.pack_into(form, block, offset, *values)
    found = CPUInfo(0, 1, 2, struct.unpack("<32s3I2B2B2I2BH3I16s2I16x4I", block))        # vcpu_t
    assert list(found.registers) == list(range(8)) and found.processor_state_register == 11
    assert (found.stack_pointer, found.link_register, found.physical_cpu_id, found.application_id) == (12, 13, 14, 15)
    assert (found.run_time_error.name, found.state.name, found.application_name) == ("DABT", "PAUSED", "model")
    assert found.application_mailbox_data_address == 16 and found.monitor_mailbox_data_address == 17
    assert (found.application_mailbox_command.value, found.monitor_mailbox_command.value) == (1, 3)
    assert (found.time, found.iobuf_address, found.software_version) == (18, 19, 20) and found.user == (21, 22, 23, 24)
