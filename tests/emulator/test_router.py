"""A router by itself: entries, the point-to-point table, filters and counters, registers."""

import pytest

from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.packets import PAYLOAD
from spikingconvnet.emulator.router import Router


@pytest.fixture
def router():
    """A router that notes what it tells in `told`."""
    told = []
    made = Router(lambda: told.append("changed"), lambda: told.append("settle"))
    made.told = told
    return made


def test_the_first_entry_that_matches_says_the_route(router):
    router.set(5, 0x1200, 0xff00, 0x81000041)
    router.set(3, 0x1230, 0xfff0, 0x2)
    router.set(7, 0x0001, 0xff00, 0x4)          # a bit outside the mask: it never matches
    assert router.lookup(0x12ff) == 0x41 and router.lookup(0x1234) == 0x2
    assert router.lookup(0x0001) is None and router.lookup(0x1300) is None
    assert router.told == ["changed"] * 3
    router.clear(3, 2)
    assert router.lookup(0x1234) == 0x41 and len(router.told) == 5
    assert (router.keys[3], router.masks[3], router.routes[3]) == (0xffffffff, 0, 0xff000000)
    router.clear(5, 1)
    assert router.lookup(0x12ff) is None


def test_tables_are_words_in_memory(router):
    for base, value in ((0x4000, 0x3f), (0x8000, 0x10), (0xc000, 0xf0)):
        router.store(base + 4 * 1023, value)
        assert router.load(base + 4 * 1023) == value
    assert router.lookup(0x1f) == 0x3f and router.told == ["changed"] * 3
    assert len(router.routes) == len(router.keys) == len(router.masks) == 1024
    assert router.load(0x4000) == 0xff000000 and router.load(0x8000) == 0xffffffff and router.load(0xc000) == 0
    for offset in (0x3ffc, 0x5000, 0x7ffc, 0x9000, 0xd000, 0x18000, 0x240, 0x340, 0x30, 0x80, 0x88):
        for act in (router.load, lambda offset: router.store(offset, 0)):
            with pytest.raises(BusError, match="router"):
                act(offset)


def test_ways_to_chips(router):
    assert [router.p2p_link(address) for address in (0, 7, 0xffff)] == [6, 6, 6]
    router.set_p2p(0x0102, 3)
    router.set_p2p(0x0103, 7)
    router.set_p2p(0x0102, 0)
    assert [router.p2p_link(0x0100 + i) for i in range(8)] == [6, 6, 0, 7, 6, 6, 6, 6]
    word = sum((6, 6, 0, 7, 6, 6, 6, 6)[i] << 3 * i for i in range(8))
    assert router.load(0x10000 + 4 * (0x0102 >> 3)) == word and router.load(0x17ffc) == 0x00db6db6
    router.store(0x10000, 0x1)
    assert [router.p2p_link(i) for i in range(3)] == [1, 0, 0]


def counted(router, payload=False, local=True, default=False, route=0):
    return router.counting(PAYLOAD * payload, local=local, default=default, route=route)


def test_filters_count_by_where_a_packet_comes_from(router):
    assert counted(router, route=1) == [0] and counted(router, local=False, route=1) == [1]
    assert counted(router, payload=True, default=True, route=1 << 6) == [0]
    assert counted(router, route=1 << 7) == [0] and counted(router, route=0x3f) == [0]
    assert counted(router, route=None) == [8] and counted(router, local=False, route=None) == [8]


@pytest.mark.parametrize("bit, packets", [
    (10, [{"default": True}]), (11, [{"default": False}]), (12, [{"payload": True}]), (13, [{"payload": False}]),
    (14, [{"local": True}]), (15, [{"local": False}]), (16, [{"route": None}]), (17, [{"route": 1 << 7}]),
    (18, [{"route": 1 << 6}]), *((19 + link, [{"route": 1 << link}]) for link in range(6))])
def test_every_bit_of_a_filter_is_one_property(router, bit, packets):
    groups = ((10, 11), (12, 13), (14, 15), tuple(range(16, 25)))
    mine = next(group for group in groups if bit in group)
    others = sum(1 << one for group in groups if group != mine for one in group)
    router.store(0x200 + 4 * 12, 0x11 | others | 1 << bit)
    every = [{"default": d, "payload": p, "local": s, "route": r} for d in (True, False) for p in (True, False)
             for s in (True, False) for r in (None, 1 << 7, 1 << 6, *(1 << link for link in range(6)))]
    name, value = next(iter(packets[0].items()))
    assert all((12 in counted(router, **one)) == (one[name] == value) for one in every)
    router.store(0x200 + 4 * 12, others | 1 << bit | 0x01)              # of no kind of emergency routing
    assert not any(12 in counted(router, **one) for one in every)
    router.store(0x200 + 4 * 12, others | 1 << bit | 0x18)              # not multicast
    assert not any(12 in counted(router, **one) for one in every)


def test_counters_are_read_after_what_is_under_way_and_cleared_one_by_one(router):
    router.count([0, 3], 5)
    router.count([3], 0xffffffff)
    assert router.load(0x300) == 5 and router.load(0x300 + 12) == 4 and router.told == ["settle", "settle"]
    router.store(0x2c, 1 << 19 | 0xfffe)
    assert (router.load(0x300), router.load(0x30c), router.load(0x2c)) == (5, 0, 0xfffe)
    assert counted(router, route=1) == [] and counted(router, local=False, route=1) == [1]
    assert router.told[2:4] == ["settle", "changed"]
    router.store(0x200, 0x7)
    assert router.load(0x200) == 7 and router.told[-2:] == ["settle", "changed"]


def test_registers(router):
    assert router.load(0x00) == 0x00400001 and router.load(0x04) == 0 and router.load(0x2c) == 0xffff
    router.store(0x00, 0x5)
    router.store(0x84, 0x77)
    assert router.load(0x00) == 5 and router.load(0x84) == 0x77
    assert [router.load(offset) for offset in range(0x08, 0x2c, 4)] == [0] * 9
    assert [router.load(0x200 + 4 * i) for i in (0, 1, 7, 8, 11, 12)] == [
        0x01fe0000 | 1 << 14 | 0x3cf1, 0x01fe0000 | 2 << 14 | 0x3cf1, 0x01fe0000 | 2 << 14 | 0x3cf8, 0x0001fcf1,
        0x0001fcf8, 0]
