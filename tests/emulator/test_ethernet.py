"""Questions for the states of cores: answered when the cores that have something to do have done it, not before."""

import socket
import struct
import threading
import time

import pytest
from programs import WFI, branch, program

from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.ethernet import Ethernet, _Question
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, SYSRAM_BASES, VCPU, VCPU_BASE, CPUState
from spikingconvnet.emulator.monitor import asks_for_states
from spikingconvnet.emulator.packets import SCP_PORT, SDP, UDP_PADDING, Command, Result, answer

STATE = VCPU_BASE + VCPU.SIZE + VCPU.CPU_STATE          # of core 1
SYNC0 = program([0xe59f000c,                            # ldr r0, =STATE
                 0xe3a01000 | CPUState.SYNC0,           # mov r1, #8
                 0xe5c01000,                            # strb r1, [r0]
                 WFI, branch(4, 0), STATE])
OTHER_CHIP, WEST = 0x0100, 3                            # chip 1,0 of a SpiNN-3, whose link west leads to 0,0
QUESTIONS = {"count": (0, Command.COUNT, 30, CPUState.SYNC0, 0), "summary": (0, Command.INFO, 0, 0, 0),
             "block": (0, Command.READ, VCPU_BASE + VCPU.SIZE, VCPU.SIZE, 0),
             "block elsewhere": (0, Command.READ, STATE - SYSRAM_BASES[0] + SYSRAM_BASES[1], 1, 0),
             "block by link": (OTHER_CHIP, Command.LINK_READ, VCPU_BASE + VCPU.SIZE, VCPU.SIZE, WEST)}
TOLD = {"count": 0, "summary": 13, "block": VCPU.CPU_STATE, "block elsewhere": 0, "block by link": VCPU.CPU_STATE}


class Gated(Core):
    """A core that is paused again and again until a gate opens."""

    gate = None

    def run(self):
        if self.gate.wait(0.002):
            super().run()


class Endless(Core):
    """A core that works and is paused again and again."""

    def run(self):
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass


class Restless(Core):
    """A core that always has something to do, though it always comes to rest."""

    ready = True

    def run(self):
        super().run()
        self.rest = Rest.READY if self.rest is Rest.WFI else self.rest
        self.again(self)
        self.rest = Rest.WFI


class Host:
    """A machine that is served, and a host that talks to it."""

    def __init__(self, make_core, watchdog):
        self.reports, self.ethernet = [], Ethernet()
        self.machine = Machine(3, report=self.reports.append, make_core=make_core, watchdog=watchdog)
        self.machine.root.bus.write(SDRAM_SYSTEM, SYNC0)
        self.ethernet.attach(self.machine)
        self._thread = threading.Thread(target=self.ethernet.serve)
        self._thread.start()
        self._sockets = []

    def close(self):
        """End serving."""
        self.ethernet.close()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    def ask(self, chip, code, *arguments, times=1):
        """Send a command from a socket of its own; the socket."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(60)
        self._sockets.append(sock)
        message = SDP(0x87, 0xff, 0, 0xff, chip, 0, struct.pack("<2H3I", code, 7, *arguments))
        for _ in range(times):
            sock.sendto(UDP_PADDING + message.encode(), (self.ethernet.hosts[0], SCP_PORT))
        return sock


def heard(sock):
    """(result, sequence number, data) of the next datagram."""
    payload = SDP.decode(sock.recv(512)[2:]).payload
    return *struct.unpack_from("<2H", payload), payload[4:]


def answered(sock):
    """Data of the answer to a command, and how many datagrams came before it."""
    before = 0
    while True:
        result, sequence, data = heard(sock)
        if sequence == 7:
            assert result == Result.OK
            return data, before
        before += 1


@pytest.fixture
def host(request):
    """A function that makes a Host."""
    made = []

    def make(make_core, watchdog=300.0):
        made.append(Host(make_core, watchdog))
        return made[0]

    yield make
    Gated.gate = None
    made[0].close()


def start(host):
    answered(host.ask(0, Command.AR, 30 << 24 | 1 << 1, 0, 0))


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_for_states_waits_for_the_cores_and_nothing_else_does(host, question):
    Gated.gate = threading.Event()
    board = host(Gated)
    start(board)
    waits = board.ask(*QUESTIONS[question])
    for _ in range(2):
        assert heard(waits)[:2] == (Result.TIMEOUT, 7 ^ 0x8000)     # the board is there, and nothing has been answered
        assert b"SC&MP" in answered(board.ask(0, Command.VER, 0, 0, 0))[0]
        assert answered(board.ask(0, Command.READ, SDRAM_SYSTEM, 4, 0))[0] == SYNC0[:4]
    Gated.gate.set()
    data, _ = answered(waits)
    assert data[TOLD[question]] == (1 if question == "count" else CPUState.SYNC0)


def test_a_question_that_is_asked_again_is_answered_once(host):
    Gated.gate = threading.Event()
    board = host(Gated)
    start(board)
    waits = board.ask(*QUESTIONS["count"], times=3)
    heard(waits)
    Gated.gate.set()
    answered(waits)
    answered(board.ask(0, Command.VER, 0, 0, 0))
    waits.setblocking(False)
    with pytest.raises(BlockingIOError):
        answered(waits)


def test_who_sends_a_command_that_takes_long_hears_that_the_board_is_there(host):
    Gated.gate = threading.Event()
    board = host(Gated)
    accept = board.machine.accept
    board.machine.accept = lambda message: Gated.gate.wait() and accept(message)
    waits = board.ask(0, Command.VER, 0, 0, 0)
    for _ in range(2):
        assert heard(waits)[:2] == (Result.TIMEOUT, 7 ^ 0x8000)
    Gated.gate.set()
    assert b"SC&MP" in answered(waits)[0]


def test_a_core_that_does_not_end_is_stopped_by_the_watchdog_and_then_counted(host):
    board = host(Endless, watchdog=0.3)
    start(board)
    # On a busy machine an answer may come before the watchdog, after twice its time.
    assert any(answered(board.ask(0, Command.COUNT, 30, CPUState.WDOG, 0))[0][0] for _ in range(20))


def test_cores_that_never_come_to_rest_do_not_hold_answers_up_for_ever(host):
    board = host(Restless, watchdog=0.3)
    Restless.again = staticmethod(board.machine._wake)
    start(board)
    assert answered(board.ask(*QUESTIONS["count"]))[0][0] == 1
    assert board.reports == ["cores have not come to rest for 0.6 s; what waits for it is dealt with now"]


@pytest.mark.parametrize("code, arguments, asks", [
    (Command.READ, (VCPU_BASE - 4, 4, 2), False), (Command.READ, (VCPU_BASE - 4, 8, 2), True),
    (Command.READ, (VCPU_BASE + 18 * VCPU.SIZE, 4, 2), False), (Command.READ, (SDRAM_SYSTEM, 256, 2), False),
    (Command.READ, (VCPU_BASE, 0, 2), False), (Command.VER, (0, 0, 0), False),
    (Command.WRITE, (VCPU_BASE, 4, 2), False)])
def test_what_asks_for_states(code, arguments, asks):
    payload = struct.pack("<2H3I", code, 7, *arguments)
    assert asks_for_states(SDP(0x87, 0xff, 0, 0xff, 0, 0, payload)) is asks
    assert not asks_for_states(SDP(0x87, 0xff, 1, 0xff, 0, 0, payload))         # to a core


def test_spinnman_goes_on_waiting_when_it_hears_that_the_board_is_there():
    from spinnman.connections.scp_request_pipeline import SCPRequestPipeLine
    from spinnman.messages.scp.impl import CountState
    from spinnman.model.enums import CPUState as State

    class Connection:
        """Reassures whoever asks, three times, then answers."""

        def get_scp_data(self, request):
            self.sequence = request.scp_request_header.sequence
            return b""

        def send(self, _data):
            question = SDP(0x87, 0xff, 0, 0xff, 0, 0, struct.pack("<2H3I", Command.COUNT, self.sequence, 0, 0, 0))
            reassurance = _Question(question, None, None).reassurance()
            self.coming = [reassurance] * 3 + [question.reply(answer(question.payload, Result.OK, bytes((5, 0, 0, 0))))]

        def receive_scp_response(self, _timeout):
            from spinnman.messages.scp.enums import SCPResult

            data = UDP_PADDING + self.coming.pop(0).encode()
            return SCPResult(data[10]), int.from_bytes(data[12:14], "little"), data, 2

    counts, errors = [], []
    pipeline = SCPRequestPipeLine(Connection(), n_retries=0)
    pipeline.send_request(CountState(0, 0, 30, State.READY), lambda response: counts.append(response.count),
                          lambda *error: errors.append(error))
    pipeline.finish()
    assert (counts, errors, pipeline.n_resent) == ([5], [], 0)
