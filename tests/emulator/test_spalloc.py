"""The spalloc server: what SpiNNMan's own client gets, who waits, what a silent client costs, who is kept out."""

import asyncio
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from spinnman.exceptions import SpallocException, SpinnmanTimeoutException
from spinnman.spalloc import SpallocClient, SpallocState

from spikingconvnet.backends.spinnaker import allocated
from spikingconvnet.backends.spinnaker.machine import machine_section
from spikingconvnet.emulator import SetupError, cli
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.packets import SCP_PORT, SDP, UDP_PADDING, Command
from spikingconvnet.emulator.spalloc import certificate, monitors, proxy, server
from spikingconvnet.emulator.spalloc.jobs import Jobs, State
from spikingconvnet.emulator.spalloc.pages import EVERYBODY, Access, Service

ROOT = Path(__file__).parents[2]
SDRAM = 0x60300000


class FakeBoard:
    """A board of which there is an address alone; it counts how many there are."""

    def __init__(self, count=None, fails=None, number=1):
        self.count, self.fails = Counter() if count is None else count, fails
        self.hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"][:number]

    def __enter__(self):
        if self.fails:
            raise self.fails
        self.count["now"] += 1
        self.count["most"] = max(self.count["most"], self.count["now"])

    def __exit__(self, *_):
        self.count["now"] -= 1


def fake(number):
    """So many fake boards side by side."""
    return FakeBoard(number=number)


@pytest.fixture
def counted():
    """How many fake boards there are now, and were at most."""
    return Counter()


async def soon(condition):
    """Wait for a condition."""
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_who_comes_when_all_boards_are_taken_waits_for_their_turn(counted):
    async def run():
        jobs = Jobs(lambda _: FakeBoard(counted), 2)
        first, second, third, fourth = (jobs.create("me", 60) for _ in range(4))
        await soon(lambda: second.state is State.READY and first.state is State.READY)
        assert third.state is fourth.state is State.QUEUED
        third.end("changed its mind")
        second.end("finished")
        await soon(lambda: fourth.state is State.READY)
        assert third.board is None and first.state is State.READY and counted["most"] == 2
        await jobs.close()
    asyncio.run(run())
    assert counted["now"] == 0


def test_who_wants_three_boards_waits_for_them_and_nobody_overtakes(counted):
    async def run():
        jobs = Jobs(lambda number: FakeBoard(counted, number=number), 3)
        first, three, last = (jobs.create("me", 60, layout=Layout(5, number)) for number in (1, 3, 1))
        await soon(lambda: first.state is State.READY)
        assert three.state is last.state is State.QUEUED    # though two boards are free
        first.end("finished")
        await soon(lambda: three.state is State.READY)
        assert last.state is State.QUEUED and len(three.board.hosts) == 3
        three.end("finished")
        await soon(lambda: last.state is State.READY)
        await jobs.close()
    asyncio.run(run())
    assert counted == {"now": 0, "most": 1}


def test_ten_clients_of_which_one_is_killed(counted, monkeypatch):
    async def run():
        monkeypatch.setattr("spikingconvnet.emulator.spalloc.jobs._LOOK", 0.01)
        said = []
        jobs = Jobs(lambda _: FakeBoard(counted), 5, said.append)
        watch = asyncio.create_task(jobs.watch())
        all_jobs = [jobs.create(f"client {n}", 60) for n in range(10)]
        await soon(lambda: sum(job.state is State.READY for job in all_jobs) == 5)
        killed = all_jobs[2]
        killed.keep_alive = 0.02                    # and is not heard again
        await soon(lambda: killed.state is State.DESTROYED)
        await soon(lambda: sum(job.state is State.READY for job in all_jobs) == 5)
        assert [job.state for job in all_jobs if job is not killed] == [State.READY] * 5 + [State.QUEUED] * 4
        assert said == ["job 3 of client 2: nothing heard for 0.02 s; it ends"]
        watch.cancel()
        await jobs.close()
    asyncio.run(run())
    assert counted == {"now": 0, "most": 5}


def test_a_job_that_has_had_its_time_ends_and_the_next_one_has_its_board(counted, monkeypatch):
    async def run():
        monkeypatch.setattr("spikingconvnet.emulator.spalloc.jobs._LOOK", 0.01)
        said = []
        jobs = Jobs(lambda _: FakeBoard(counted), 1, said.append, longest=0.0)
        first, second = jobs.create("me", 60), jobs.create("you", 60)
        await soon(lambda: first.state is State.READY)
        assert second.state is State.QUEUED         # waiting does not count
        watch = asyncio.create_task(jobs.watch())
        await soon(lambda: first.state is second.state is State.DESTROYED)
        assert first.reason == second.reason == "had its board for 0 s"
        assert said == ["job 1 of me: has had its 0 s; it ends", "job 2 of you: has had its 0 s; it ends"]
        watch.cancel()
        await jobs.close()
    asyncio.run(run())
    assert counted == {"now": 0, "most": 1}


def test_the_last_jobs_that_ended_are_remembered(monkeypatch):
    monkeypatch.setattr("spikingconvnet.emulator.spalloc.jobs._KEPT", 2)

    async def run():
        served = Jobs(fake, 1)
        for number in range(1, 6):
            job = served.create("somebody", 100.0)
            await soon(lambda job=job: job.state is State.READY)
            assert sorted(served.all) == [*range(max(1, number - 2), number), number]
            job.end("finished")
        await served.close()
    asyncio.run(run())


@pytest.mark.parametrize("error", [SetupError("no room for a board"), OSError("no room for a board")])
def test_a_board_that_cannot_be_made_ends_its_job_and_no_other(error):
    async def run():
        fails = iter([error, None])
        jobs = Jobs(lambda _: FakeBoard(fails=next(fails)), 1)
        bad, good = jobs.create("me", 60), jobs.create("me", 60)
        await soon(lambda: good.state is State.READY)
        assert (bad.state, bad.reason) == (State.DESTROYED, "no room for a board")
        await jobs.close()
    asyncio.run(run())


def test_channels_lead_to_the_board_and_back():
    async def run():
        frames = []
        channels = proxy.Proxy({(0, 0): "127.0.0.1"}, frames.append)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
            board.bind(("127.0.0.1", 0))
            board.setblocking(False)
            port = board.getsockname()[1]
            await channels.receive(struct.pack("<5I", proxy.Kind.OPEN, 7, 0, 0, port))
            kind, call, bound = struct.unpack("<3I", frames.pop())
            assert (kind, call) == (proxy.Kind.OPEN, 7)
            await channels.receive(struct.pack("<2I", proxy.Kind.MSG, bound) + b"to the board")
            data, client = board.recvfrom(100)
            board.sendto(b"and back", client)
            await soon(lambda: frames)
            assert (data, frames.pop()) == (b"to the board", struct.pack("<2I", proxy.Kind.MSG, bound) + b"and back")
            await channels.receive(struct.pack("<2I", proxy.Kind.OPEN_UNBOUND, 8))
            *head, channel, a, b, c, d, here = struct.unpack("<3I4BI", frames.pop())
            assert head == [proxy.Kind.OPEN_UNBOUND, 8] and (a, b, c, d) == (127, 0, 0, 1)
            await channels.receive(struct.pack("<5I", proxy.Kind.MSG_TO, channel, 0, 0, port) + b"to one of them")
            assert board.recvfrom(100) == (b"to one of them", ("127.0.0.1", here))
            await channels.receive(struct.pack("<3I", proxy.Kind.CLOSE, 9, bound))
            assert frames.pop() == struct.pack("<3I", proxy.Kind.CLOSE, 9, bound)
            await channels.receive(struct.pack("<2I", proxy.Kind.MSG, bound) + b"after it")
            channels.close()
            with pytest.raises(BlockingIOError):
                board.recvfrom(100)
    asyncio.run(run())


@pytest.mark.parametrize("frame, words", [
    (struct.pack("<5I", 0, 1, 4, 8, 17893), "OPEN failed"), (struct.pack("<5I", 0, 1, 0, 0, 70000), "OPEN failed"),
    (struct.pack("<4I", 0, 1, 0, 0), "OPEN failed"), (struct.pack("<3I", 1, 1, 99), "CLOSE failed"), (b"", None),
    (b"\0" * 7, None), (struct.pack("<2I", 2, 99) + b"x", None), (struct.pack("<5I", 4, 99, 0, 0, 1) + b"x", None),
    (struct.pack("<2I", 4, 1), None), (struct.pack("<2I", 5, 1), None), (struct.pack("<2I", 77, 1), None)])
def test_a_frame_that_cannot_be_meant_is_an_error_or_nothing(frame, words):
    frames = []
    asyncio.run(proxy.Proxy({(0, 0): "127.0.0.1"}, frames.append).receive(frame))
    assert [struct.unpack_from("<2I", found) for found in frames] == ([(proxy.Kind.ERROR, 1)] if words else [])
    assert all(words.encode() in found for found in frames)


class Chip(asyncio.DatagramProtocol):
    """A chip's monitor: memory, forgetful now and then, and no memory at 0."""

    def __init__(self):
        self.memory, self.forgets = bytearray(2000), 1

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        message = SDP.decode(data[2:])
        code, sequence, address, length, _ = struct.unpack_from("<2H3I", message.payload)
        if self.forgets and code == Command.READ:
            self.forgets -= 1
            return
        place, result = address - SDRAM, 0x80 if address else 0x84
        if code == Command.WRITE:
            self.memory[place:place + length] = message.payload[16:]
        content = bytes(self.memory[place:place + length]) if code == Command.READ and address else b""
        answer = message.reply(struct.pack("<2H", result, sequence) + content)
        self.transport.sendto(UDP_PADDING + answer.encode(), sender)


@pytest.mark.parametrize("offset, size", [(0, 0), (0, 1), (3, 255), (1, 1000), (4, 1024)])
def test_memory_is_read_and_written_in_pieces_of_any_length(offset, size, monkeypatch):
    monkeypatch.setattr(monitors, "_PATIENCE", 0.05)

    async def run():
        loop = asyncio.get_running_loop()
        transport, chip = await loop.create_datagram_endpoint(Chip, local_addr=("127.0.0.1", 0))
        monkeypatch.setattr(monitors, "SCP_PORT", transport.get_extra_info("sockname")[1])
        data = bytes(n % 251 for n in range(size))
        async with monitors.monitors("127.0.0.1") as board:
            await board.write((0, 0), SDRAM + offset, data)
            assert await board.read((0, 0), SDRAM + offset, size) == data
            with pytest.raises(monitors.Refused, match="chip 0,0 answers READ with error 0x84"):
                await board.read((0, 0), 0, 4)
        assert bytes(chip.memory) == bytes(offset) + data + bytes(2000 - offset - size)
        transport.close()
    asyncio.run(run())


def test_routers_are_set_back_as_a_host_would(monkeypatch):
    asked = []

    async def run():
        board = monitors.Monitors()

        async def ask(*question):
            asked.append(question)
        monkeypatch.setattr(board, "ask", ask)
        await board.reset_routers([(0, 0), (1, 2)], {0: 5, 12: 0x1234})
    asyncio.run(run())
    words = {0xe100002c: 0xffffffff, 0xe1000200: 5, 0xe1000230: 0x1234}
    assert asked[:2] == [(xy, Command.RTR, (0, 0, 0)) for xy in ((0, 0), (1, 2))]
    assert sorted(asked[2:]) == sorted((xy, Command.WRITE, (address, 4, 2), word.to_bytes(4, "little"))
                                       for xy in ((0, 0), (1, 2)) for address, word in words.items())


def test_a_board_that_does_not_answer_is_said_to(monkeypatch):
    monkeypatch.setattr(monitors, "_PATIENCE", 0.001)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        board.bind(("127.0.0.1", 0))
        monkeypatch.setattr(monitors, "SCP_PORT", board.getsockname()[1])

        async def run():
            async with monitors.monitors("127.0.0.1") as asked:
                with pytest.raises(monitors.Refused, match="chip 1,2 does not answer"):
                    await asked.read((1, 2), SDRAM, 4)
        asyncio.run(run())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the certificate is."""
    return tmp_path_factory.mktemp("spalloc")


@contextmanager
def trusting(path):
    with pytest.MonkeyPatch.context() as patch:
        for name in certificate.TRUSTED:
            patch.setenv(name, str(path))
        yield


@contextmanager
def served(folder, make_board, boards=1, access=EVERYBODY):
    """A server in a thread of this process: its address."""
    context, found, path = certificate.context(folder / "made.pem"), [], folder / "made.pem"

    async def main():
        jobs = Jobs(make_board, boards)
        pages = server.application(Service(jobs, found.append, access=access))
        application = server.HTTPServer(pages, ssl_options=context)
        sockets = server.bind_sockets(0, "127.0.0.1")
        application.add_sockets(sockets)
        stop = asyncio.Event()
        found.append((asyncio.get_running_loop(), stop, f"https://127.0.0.1:{sockets[0].getsockname()[1]}/"))
        await stop.wait()
        application.stop()
        await jobs.close()
        await application.close_all_connections()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    while not found:
        time.sleep(0.005)
    loop, stop, url = found[0]
    try:
        with trusting(path):
            yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
    assert len(found) == 1                          # nothing went wrong in the server


@pytest.fixture(scope="module")
def url(folder):
    """Address of a server of fake boards."""
    with served(folder, fake) as address:
        yield address


@pytest.fixture
def client(url):
    """SpiNNMan's client of it, and what it may ask for."""
    from spinnman.config_setup import unittest_setup
    from spinnman.data.spinnman_data_writer import SpiNNManDataWriter

    unittest_setup()
    SpiNNManDataWriter.mock().set_n_required(n_boards_required=1, n_chips_required=None)
    with SpallocClient(url, "me", "any") as made:
        yield made


def test_spinnman_s_client_gets_a_board_and_gives_it_back(client):
    (machine,) = client.list_machines().values()
    assert machine.name == "emulated-boards" and "emulated" in machine.tags
    job = client.create_job()
    job.wait_until_ready()
    assert job.get_connections() == {(0, 0): "127.0.0.1"} and job.get_root_host() == "127.0.0.1"
    assert job.where_is_machine(1, 7) is None and job.where_is_machine(4, 7)[:2] == (0, 0)
    assert [str(one) for one in client.list_jobs()] == [str(job)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        board.bind(("127.0.0.1", 0))
        board.settimeout(120)
        listener = job.open_eieio_listener_connection()     # SpiNNMan 7.4.1 forgets the address that it is told
        listener.send_to_chip(b"to a board", 0, 0, board.getsockname()[1])
        data, sender = board.recvfrom(100)
        board.sendto(b"live output", sender)
        assert (data, listener.receive(120)) == (b"to a board", b"live output")
    with pytest.raises(IOError, match="OPEN failed"):
        job.connect_to_board(4, 8)
    job.destroy()
    assert job.get_state() is SpallocState.DESTROYED and list(client.list_jobs()) == []


@pytest.mark.parametrize("delay, pause", [(0, 0.1), (0.1, 0)], ids=["before it is waited for", "meanwhile"])
def test_a_second_client_waits_until_the_first_has_done(client, delay, pause):
    first, second = client.create_job(), client.create_job()
    assert (first.get_state(), second.get_state()) == (SpallocState.READY, SpallocState.QUEUED)
    assert second.get_connections() == {}
    threading.Timer(delay, first.destroy).start()
    time.sleep(pause)
    state = second.wait_for_state_change(SpallocState.QUEUED, timeout=120)
    while state is SpallocState.POWER:
        state = second.wait_for_state_change(state, timeout=120)
    assert state is SpallocState.READY
    second.destroy()


@pytest.mark.parametrize("asked, words", [
    ({"num-boards": 3}, "this one has 1: ask for one with"), ({"num-boards": 4}, "have one board, or 3"),
    ({"num-boards": "1"}, "have one board, or 3"), ({"dimensions": {"width": 2, "height": 1}}, "have one board, or 3"),
    ({"machine-name": "SpiNNaker1M"}, "no such machine"), ({"tags": ["large"]}, "have the tags"),
    ({"tags": 5}, "have the tags"), ({"tags": [[]]}, "have the tags"),
    ({"board": {"x": 0, "y": 0, "z": 0}}, "no place of their own"), ({"keepalive-interval": "2 min"}, "PT120S"),
    ([], "an object of JSON"), ("{", "Expecting")])
def test_a_job_that_cannot_be_had_is_refused_in_words(url, asked, words):
    cookies, headers = login(url)
    done = requests.post(f"{url}srv/spalloc/jobs/", cookies=cookies, headers=headers, timeout=120,
                         **({"data": asked} if asked == "{" else {"json": asked}))
    assert done.status_code == 400 and words in done.json()["message"]


def test_a_job_of_three_boards(folder):
    with served(folder, fake, boards=3) as url:
        cookies, headers = login(url)
        job = requests.post(f"{url}srv/spalloc/jobs/", cookies=cookies, headers=headers, timeout=120,
                            json={"num-boards": 2})         # with a spare one, as sPyNNaker asks for
        machine = requests.get(f"{job.headers['Location']}/machine", cookies=cookies, timeout=120).json()
        assert (machine["width"], machine["height"]) == (12, 12) and machine["boards"] == [[0, n, 1] for n in range(3)]
        assert machine["connections"] == [[[0, 0], "127.0.0.1"], [[4, 8], "127.0.0.2"], [[8, 4], "127.0.0.3"]]
        for xy, board in (((11, 11), 1), ((9, 5), 2), ((3, 2), 0)):
            chip = requests.get(f"{job.headers['Location']}/chip", params={"x": xy[0], "y": xy[1]}, cookies=cookies,
                                timeout=120).json()
            assert chip == {"physical-board-coordinates": [0, board, 1]}


def login(url):
    """Cookies and headers of a session."""
    form = requests.get(f"{url}system/login.html", timeout=120)
    token = re.search('value="(.*)"', form.text)[1]
    done = requests.post(f"{url}system/perform_login", data={"_csrf": token}, cookies=form.cookies, timeout=120,
                         allow_redirects=False)
    about = requests.get(f"{url}srv/spalloc/", cookies=done.cookies, timeout=120).json()
    return done.cookies, {about["csrf-header"]: about["csrf-token"]}


@pytest.mark.parametrize("arguments, words", [
    ("x=0&y=0&address=0", "size"), ("x=0&y=0&address=-4&size=4", "address must be"),
    ("x=4&y=8&address=0&size=4", "no such chip"),
    ("x=0&y=0&address=0&size=4e9", "size must be"), ("x=0&y=0&address=0x60000000&size=0x8000001", "size must be"),
    ("x=0&y=0&address=0xfffffffc&size=8", "no 8 bytes at"), ("x=0&y=0&address=0x100000000&size=0", "address must be")])
def test_memory_that_no_chip_has_is_refused_in_words(url, arguments, words):
    cookies, headers = login(url)
    made = requests.post(f"{url}srv/spalloc/jobs/", json={}, cookies=cookies, headers=headers, timeout=120)
    assert made.json()["state"] == "READY"
    done = requests.get(f"{made.headers['Location']}/memory?{arguments}", cookies=cookies, timeout=120)
    assert done.status_code == 400 and words in done.json()["message"]
    assert requests.delete(made.headers["Location"], cookies=cookies, headers=headers, timeout=120).status_code == 204


class Websocket:
    """A websocket, by its name."""

    def __init__(self, name):
        self.name = name


class Channel:
    """A channel as SpiNNMan has it, in a websocket that has broken."""

    def __init__(self, socket):
        self._ProxiedConnection__ws, self._ProxiedConnection__msgs, self.sent = socket, queue.SimpleQueue(), []

    def _send(self, message):
        if "broken" in self._ProxiedConnection__ws.name:
            raise OSError("socket closed")
        self.sent.append((self._ProxiedConnection__handle, message))

    def _open_connection(self):
        return 7


@pytest.mark.parametrize("keeps, known, opens", [(True, True, True), (False, True, False), (True, False, False)])
def test_a_channel_is_opened_anew_unless_its_job_was_given_back(keeps, known, opens):
    broken, new, listened = Websocket("broken"), Websocket("new"), []
    job = SimpleNamespace(_keepalive_url="https://h/" if keeps else None)
    made = allocated._noted(lambda job: (SimpleNamespace(listen=lambda *args: listened.append(args)), new))
    job._SpallocJob__init_proxy = lambda: made(job)
    channel = Channel(broken)
    if known:
        allocated._noted(lambda job: (None, broken))(job)
    if opens:
        allocated._again(Channel._send)(channel, b"once")
        allocated._again(Channel._send)(channel, b"more")
        assert channel.sent == [(7, b"once"), (7, b"more")] and [handle for handle, _ in listened] == [7]
    else:
        with pytest.raises(OSError, match="socket closed"):
            allocated._again(Channel._send)(channel, b"once")


def test_the_end_of_a_websocket_is_an_answer_that_did_not_come():
    def ended(channel, timeout=None):
        raise TypeError("'NoneType' object is not subscriptable")

    channel = Channel(Websocket("broken"))
    with pytest.raises(TypeError):          # of nobody's
        allocated._as_lost(ended)(channel, 1.0)
    allocated._noted(lambda job: (None, channel._ProxiedConnection__ws))("a job")
    with pytest.raises(SpinnmanTimeoutException):
        allocated._as_lost(ended)(channel, 1.0)
    assert allocated._as_silence(ended)(channel) is False


@pytest.mark.parametrize("state, lines", [(SpallocState.QUEUED, 1), (SpallocState.READY, 0)])
def test_who_has_to_wait_for_a_board_is_told(state, lines, caplog):
    job, waited = SimpleNamespace(get_state=lambda: state), []
    with caplog.at_level("INFO"):
        allocated._told(waited.append)(job)
    assert waited == [job] and caplog.text.count("no board free") == lines


def test_a_controller_that_gets_no_answer_asks_again_and_remembers_why_its_job_was_ended(monkeypatch):
    monkeypatch.setattr(allocated.time, "sleep", lambda seconds: None)
    answers = [OSError("no route"), ValueError("Unexpected response from server 502"), True, False, False]

    def wait(_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    job = SimpleNamespace(_url="https://h/7/", _get=lambda url: SimpleNamespace(
        json=lambda: {"state": "DESTROYED", "reason": "quota"}))
    controller, waited = SimpleNamespace(job=job, _exited=False), allocated._patient(wait)
    assert [waited(controller) for _ in range(4)] == [True, True, True, False] and controller._exited
    assert allocated.ENDED.pop("https://h/7/") == "quota"
    assert waited(controller) is False and allocated.ENDED.get("https://h/7/") is None      # given back by itself


@pytest.fixture(scope="module")
def guarded(folder):
    """Address of a server that expects one user, and one token."""
    with served(folder, fake, access=Access("me", "pa:ss", "tok-1")) as address:
        yield address


@pytest.mark.parametrize("login, lets_in", [
    (("me", "pa:ss", None), True), (("me", "wrong", None), False), (("you", "pa:ss", None), False),
    (("me:pa", "ss", None), False), (("me", "", None), False), ((None, None, "tok-1"), True),
    ((None, None, "tok-2"), False)])
def test_a_server_that_expects_somebody_lets_nobody_else_in(guarded, login, lets_in):
    user, password, token = login
    if lets_in:
        with SpallocClient(guarded, user, password, token) as client:
            assert list(client.list_machines()) == ["emulated-boards"]
    else:
        with pytest.raises(SpallocException, match="that this server was told"):
            SpallocClient(guarded, user, password, token)


@pytest.mark.parametrize("given, told", [
    ({"collab": "mine"}, "collab mine"), ({"collab": "mine", "nmpi_job": 7, "nmpi_user": "a"}, "collab mine"),
    ({"nmpi_job": 7}, "job 7"), ({"group": "ours"}, "group ours"), ({}, "collab own")])
def test_a_job_says_whose_quota_it_uses(client, url, given, told, monkeypatch):
    monkeypatch.setenv(allocated.COLLAB, "own")
    with allocated.charged(SpallocClient, url, **{"username": "me", "password": "any", **given}) as mine:
        job = mine.create_job()
        assert job._get(job._url).json()["charged-to"] == told
        job.destroy()


class Job:
    """A job as SpiNNMan has it, whose server answers to signs of life what it is told to."""

    _keepalive_url, _url = "https://h/1/keepalive", "https://h/1/"
    _session_credentials = {}, {"X-CSRF-TOKEN": "1"}

    def __init__(self, *answers):
        self.answers, self.renewed = list(answers), 0
        self._SessionAware__session = self

    def renew(self):
        self.renewed += 1

    def put(self, url, headers, **_):
        assert url == self._keepalive_url and headers["X-CSRF-TOKEN"] == "1"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status_code=answer)


@pytest.mark.parametrize("answers, lives, renewed, waits", [
    ([204], True, 0, 0), ([OSError("no route"), 500, 204], True, 0, 2), ([401, 204], True, 1, 0),
    ([302, 403, 204], True, 2, 0), ([OSError("gone")] * 6, True, 0, 6), ([AssertionError()], False, 0, 0)])
def test_a_sign_of_life_that_fails_is_sent_again_after_a_login(answers, lives, renewed, waits, monkeypatch):
    job, pauses = Job(*answers), []
    monkeypatch.setattr("spinnman.spalloc.spalloc_client.requests", job)
    monkeypatch.setattr(allocated.time, "sleep", pauses.append)
    assert allocated.keep_alive(job) is lives
    assert (job.renewed, job.answers, len(pauses)) == (renewed, [], waits)
    job._keepalive_url = None
    assert allocated.keep_alive(job) is False
    assert allocated.TRIES * allocated.PAUSE <= 30         # a server waits 120 s, and the next is due after 60


@pytest.mark.parametrize("path, method, has, status", [
    ("jobs/", "post", "nothing", 401), ("jobs/", "get", "nothing", 401), ("jobs/", "get", "form", 401),
    ("jobs/", "post", "cookie", 403), ("jobs/7/", "delete", "cookie", 403), ("jobs/9999/", "get", "all", 404),
    ("jobs/1/memory?x=0&y=0&address=0&size=4", "get", "nothing", 401), ("jobs/9999/proxy", "get", "all", 404)])
def test_who_has_not_logged_in_or_comes_from_a_page_of_elsewhere_is_kept_out(url, path, method, has, status):
    cookies, headers = login(url)
    cookies = {"nothing": {}, "form": requests.get(f"{url}system/login.html", timeout=120).cookies}.get(has, cookies)
    done = requests.request(method, f"{url}srv/spalloc/{path}", cookies=cookies, timeout=120,
                            headers=headers if has == "all" else {})
    assert done.status_code == status and done.json()["message"]


def test_the_certificate_is_of_the_owner_alone_and_used_again(folder):
    certificate.context(folder / "made.pem")
    before = (folder / "made.pem").read_bytes()
    certificate.context(folder / "made.pem")
    assert (folder / "made.pem").read_bytes() == before
    assert (folder / "made.pem.key").stat().st_mode & 0o077 == 0


def test_what_is_no_certificate_is_told_with_its_key(folder):
    (folder / "bad.pem").write_text("no certificate")
    with pytest.raises(SetupError, match=r"^--certificate .*bad.pem: .*; its key is looked for in .*bad.pem.key"):
        certificate.context(folder / "bad.pem")


def test_without_the_certificate_no_client_talks_to_it(url, monkeypatch):
    for name in certificate.TRUSTED:
        monkeypatch.delenv(name)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{url}system/login.html", timeout=120)


@pytest.mark.parametrize("words, message", [
    (["--port", "99"], "--port: means nothing without --spalloc"), (["--spalloc", "--version", "3"], "version 5"),
    (["--spalloc", "--host", "127.0.0.9"], "leave out --host"), (["--spalloc", "x.py"], "leave out SCRIPT"),
    (["--longest", "9"], "--longest: means nothing without --spalloc"),
    (["--spalloc", "--longest", "0"], "--longest: must be above 0"),
    (["--spalloc", "--boards", "0"], "--boards must be 1 to 200"), (["--spalloc", "--port", "70000"], "--port 0 to"),
    (["--spalloc", "--certificate", "/nowhere/x.pem"], "openssl could not make it")])
def test_options_that_cannot_be_meant_are_refused(words, message, capsys):
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err


def test_without_tornado_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["--spalloc"]) == 2
    assert "pip install 'spikingconvnet[spalloc]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """A server as a user starts it: its address, the file of its certificate, its process."""
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--spalloc", "--boards", "1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
                              cwd=tmp_path_factory.mktemp("server"))
    text = ""
    for line in server.stdout:
        text += line
        if line.startswith("post_simulation"):
            break
    yield re.search("spalloc_server = (.*)", text)[1], re.search(r"REQUESTS_CA_BUNDLE=(\S+)", text)[1]
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def test_a_network_runs_on_a_board_of_the_server_until_that_takes_it_away(process, tmp_path):
    """`--target spalloc:URL`, end to end: the integers are those of the local engine, though the connection breaks.

    Then the job is ended.
    """
    import numpy as np
    from spinn_front_end_common.data import FecDataView

    import spikingconvnet as scn
    from spikingconvnet.backends import get_backend
    from spikingconvnet.errors import SimulationFailed

    url, path = process
    sources = scn.Population("in", (1, 1, 2), scn.SpikeSourceArray(
        scn.Spikes.from_events(np.zeros(3, int), np.array([0, 1, 0]), np.array([2, 5, 9]), (1, 1, 2), n_samples=1,
                               n_steps=20)))
    weights = scn.DenseConnections(np.array([[9.0, 2.0], [1.0, 8.0]]))
    network = scn.Network((sources, scn.Population("out", (2, 1, 1), scn.IFCurrExp())),
                          (scn.Projection("all", "in", "out", weights),))
    with trusting(path):
        with machine_section(f"spalloc:{url}") as (text, _):
            assert "enable_advanced_monitor_support = False" in text
        opened = get_backend("spinnaker").open(network, ["out"], target=f"spalloc:{url}", directory=tmp_path)
        told = r"the server has ended the job of the board \(quota is used up\): "
        with pytest.raises(SimulationFailed, match=told), opened as simulation:
            simulation.run(20)
            job = FecDataView.get_allocation_controller().job
            job._SpallocJob__proxy_handle.sock.shutdown(socket.SHUT_RDWR)
            board = simulation.recording()
            cookies, headers = login(url)
            (job,) = requests.get(f"{url}srv/spalloc/jobs/", cookies=cookies, timeout=60).json()["jobs"]
            requests.delete(f"{job}?reason=quota is used up", cookies=cookies, headers=headers, timeout=60)
            simulation.run(20)
            simulation.recording()
    local = scn.run(network, record=["out"])
    assert np.array_equal(board.membranes["out"]["v"], local.membranes["out"]["v"])
    assert board.spikes["out"].counts().sum() == local.spikes["out"].counts().sum()


def test_its_board_can_be_reached_over_udp_alone_while_the_job_lasts(process):
    url, path = process
    with trusting(path):
        cookies, headers = login(url)
        made = requests.post(f"{url}srv/spalloc/jobs", json={}, cookies=cookies, headers=headers, timeout=120)
        job = f"{url}srv/spalloc/jobs/{made.headers['Location'].rpartition('/')[2]}"
        for _ in range(1200):                       # its board has a moment to start
            if (machine := requests.get(f"{job}/machine", cookies=cookies, timeout=120)).content:
                break
            time.sleep(0.1)
        host = machine.json()["connections"][0][1]
        written = requests.post(f"{job}/memory?x=1&y=2&address={SDRAM}", data=b"some memory", cookies=cookies,
                                headers=headers, timeout=120)
        read = requests.get(f"{job}/memory?x=1&y=2&address={SDRAM + 5}&size=6", cookies=cookies, timeout=120)
        assert (written.status_code, read.content) == (204, b"memory")
        assert requests.get(f"{job}/memory?x=7&y=0&address=0&size=4", cookies=cookies, timeout=120).status_code == 400
        gone = requests.delete(f"{job}/router?3=0x1", cookies=cookies, headers=headers, timeout=120)
        assert gone.status_code == 204
        assert requests.delete(job, cookies=cookies, headers=headers, timeout=120).status_code == 204
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(1200):                       # its process has a moment to end
            try:
                sock.bind((host, SCP_PORT))
                return
            except OSError:
                time.sleep(0.1)
    pytest.fail("the board outlived its job")
