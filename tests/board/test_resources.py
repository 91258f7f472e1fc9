"""Machines and copies: by hand, and what sPyNNaker knows of its machines."""

import pytest
from test_load import dense

from spikingconvnet.board import resources as module
from spikingconvnet.board.resources import (
    MACHINES,
    SDRAM_PER_CHIP,
    chips_counted,
    large_enough,
    machine,
    replicas,
    resources,
)
from spikingconvnet.errors import SettingsError


def test_machines_are_those_that_spynnaker_knows():
    from spinn_machine.version import version_3, version_5

    for name, chips in (("spin3", version_3.CHIPS_PER_BOARD), ("spin5", version_5.CHIPS_PER_BOARD)):
        board = MACHINES[name].board()
        assert len(board) == MACHINES[name].chips == len(chips)
        # SC&MP and one monitor on every chip, one more core at the Ethernet
        assert MACHINES[name].cores == sum(chips.values()) - 2 * len(chips) - 1
    assert {xy for xy, n in version_5.CHIPS_PER_BOARD.items() if n == 17} == module.CHIPS_OF_17_CORES
    assert MACHINES["full"].boards * sum(version_5.CHIPS_PER_BOARD.values()) > 1_000_000
    assert MACHINES["emulated"].cores == sum(version_5.CHIPS_PER_BOARD.values()) - 48


def test_the_name_of_a_board_stands_for_a_spin5_and_a_virtual_one_for_nothing():
    assert machine("spinn-4.example").board() == MACHINES["spin5"].board()
    assert machine("spin3:192.168.240.253") == MACHINES["spin3"] and machine("spin5:board") == MACHINES["spin5"]
    assert machine("spalloc:https://example.org").boards == 1200
    with pytest.raises(SettingsError, match="virtual: sPyNNaker invents.*spin3, spin5"):
        machine("virtual")


def test_groups_fill_chips_one_after_another():
    assert chips_counted([(1, 10)] * 16) == 1
    assert chips_counted([(1, 10)] * 17) == 2
    assert chips_counted([(9, 10)] * 2) == 2
    assert chips_counted([(1, 50_000_000)] * 3) == 2


def test_copies_share_a_board_and_large_networks_share_boards():
    assert replicas([(1, 10)] * 3, MACHINES["spin3"]) == 21             # 63 cores
    assert replicas([(1, 10)] * 64, MACHINES["spin3"]) == 0
    assert replicas([(1, 10)] * 64, MACHINES["spin5"]) == 11            # 759 cores
    assert replicas([(1, 10)] * 64, MACHINES["spin5x3"]) == 33
    assert replicas([(1, 10)] * 1500, MACHINES["spin5"]) == 0
    assert replicas([(1, 10)] * 1500, MACHINES["spin5x3"]) == 1         # two boards of three
    assert replicas([(1, 10)] * 1500, MACHINES["full"]) == 600
    assert replicas([(1, SDRAM_PER_CHIP)], MACHINES["full"]) == 0       # a chip's monitor needs some


def test_recorded_membranes_take_sdram_at_times():
    found = resources(dense(5, 100, [(0, 1)]), ["out"])
    assert sum(size for _, size in found.recording) - found.sdram == 3 * (8 + 1000 * 404)
    assert found.recording[0] == found.groups[0]        # a source has no membranes


def test_two_million_neurons_are_counted_and_do_not_fit():
    found = resources(dense(1, 2_000_000, [(0, 1)]))
    assert found.neurons == 2_000_000 and found.cores == 1 + 7813 and found.chips == 559
    assert [replicas(found.groups, MACHINES[name]) for name in ("spin5", "spin5x3", "full")] == [0, 0, 100]


@pytest.mark.parametrize(("cores", "boards", "fits"), [(808, 1, True), (809, 3, True), (2424, 3, True),
                                                       (2425, 3, False)])
def test_the_emulated_machine_has_as_many_boards_as_a_network_needs(cores, boards, fits):
    groups = cores * [(1, 1000)]
    made = large_enough(MACHINES["emulated"], groups)
    assert (made.boards, bool(replicas(groups, made))) == (boards, fits)
    assert large_enough(MACHINES["spin5"], groups) is MACHINES["spin5"]
