"""The board's Ethernet port: UDP on a loopback address, as SC&MP serves it.

Two threads: one only receives, the other owns the machine, answers what has arrived and lets the machine go on in
between. A core that runs is paused when a datagram arrives, so answers come soon; pausing does not change results.

Only what asks for the states of cores waits until those that have something to do have done it: on a board they work
side by side, and a front end that counts them right after it has started them gives up soon (SpiNNFrontEndCommon 7.4.1,
``load_executable_images.py``: 10 s).

Not modelled: boot images (the machine is booted; what comes to the boot port is dropped, as a booted board does), ARP,
ping, fragments. It listens on loopback addresses and sends to no others, whatever a message or tag says.
"""

import queue
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from spikingconvnet.emulator import packets, tags
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.monitor import asks_for_states
from spikingconvnet.emulator.pace import Pace
from spikingconvnet.emulator.packets import SDP

if TYPE_CHECKING:           # which asks it
    from spikingconvnet.emulator.control import Control

Sender: TypeAlias = tuple[str, int]                 # address, port

_PATIENCE = 0.06                                    # s after which it is looked whether a core should be paused
_FIRST_HOST, _LAST_HOST = 2, 254                    # 127.0.0.1 makes SpiNNMan expect a virtual board
_BUFFER = 4 << 20                                   # bytes that the kernel keeps while a core runs
_MOST_ARRIVED, _MOST_QUESTIONS = 10_000, 256        # datagrams, questions that wait; later ones are lost
_STOP = object()
_REASSURE = 0.4                                     # s after which one whose question waits hears something; SpiNNMan
                                                    # asks again after 1 s and gives up after 11 (7.4.1, constants.py)
_NOBODYS = 0x8000                                   # added to a sequence number: one that is not in use


class _Question:
    """A message whose answer has to wait, from whom and since when; and when its sender last heard of the board."""

    def __init__(self, message: SDP, sender: Sender) -> None:
        self.message, self.sender = message, sender
        self.since = self.heard = time.monotonic()

    @property
    def waited(self) -> float:
        """Seconds that it has waited."""
        return time.monotonic() - self.since

    def reassurance(self) -> SDP:
        """Something that answers nothing: SpiNNMan drops it and begins to wait anew."""
        empty = packets.answer(self.message.payload, packets.Result.TIMEOUT)
        sequence = int.from_bytes(empty[2:4], "little") ^ _NOBODYS
        return self.message.reply(empty[:2] + sequence.to_bytes(2, "little"))


def _socket(host: str, port: int) -> socket.socket:
    """A UDP socket bound to a loopback address."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    except OSError:
        bound.close()
        raise
    return bound


def _open(hosts: Sequence[str]) -> tuple[str, socket.socket, socket.socket]:
    """(host, SCP socket, boot socket) of the first address on which both ports are free."""
    reason = None
    for host in hosts:
        try:
            scp = _socket(host, packets.SCP_PORT)
        except OSError as error:
            reason = error
            continue
        try:
            return host, scp, _socket(host, packets.BOOT_PORT)
        except OSError as error:
            scp.close()
            reason = error
    raise SetupError(f"no address for the board: UDP ports {packets.SCP_PORT} and {packets.BOOT_PORT} of "
                     f"{hosts[0]}{' and others' if len(hosts) > 1 else ''}: {reason}; end another"
                     " board that runs there, or give a --host of its own")


class Ethernet:
    """The port of a machine.

    Parameters
    ----------
    host : loopback address to listen on; None: the first of 127.0.0.2, 127.0.0.3, ... that is free
    real_time : whether simulated time keeps to the wall clock; None: while somebody outside takes part (`pace.Pace`)

    Raises
    ------
    SetupError
        A host that is no loopback address, or none is free.
    """

    _machine: Machine                               # once it is attached
    _pace: Pace

    def __init__(self, host: str | None = None, real_time: bool | None = None) -> None:
        if host is not None:
            self._check(host)
        hosts = [host] if host else [f"127.0.0.{n}" for n in range(_FIRST_HOST, _LAST_HOST + 1)]
        self.host, self._scp, self._boot = _open(hosts)
        self._reverse: dict[int, socket.socket] = {}        # UDP port -> socket of a reverse IP tag
        self._selector = selectors.DefaultSelector()
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wakers = socket.socketpair()
        for sock in (self._scp, self._boot, self._wakers[0]):
            self._selector.register(sock, selectors.EVENT_READ)
        self._closing = threading.Event()
        self._real_time = real_time
        self._questions: list[_Question] = []       # that wait for cores to come to rest
        self.dropped: Counter[str] = Counter()      # datagrams, by reason
        self._in_hand: tuple[_Question, ...] = ()   # the one that is being dealt with
        self.control: Control | None = None         # what the process that started the board asks of it

    @staticmethod
    def _check(host: str) -> None:
        if not tags.is_loopback(host):
            raise SetupError(f"--host: must be a loopback address such as 127.0.0.2, got {host!r}")

    def attach(self, machine: Machine) -> None:
        """Become the port of a machine: what is sent leaves here, and what arrives is for it."""
        self._machine, machine.transmit, machine.tags.changed = machine, self._transmit, self._follow_tags
        self._pace = Pace(machine, self._real_time)
        self._follow_tags()                         # a machine that goes on from a snapshot has some

    def serve(self) -> None:
        """Answer for the machine that is attached until `close` is called."""
        receiver = threading.Thread(target=self._receive, name="ethernet", daemon=True)
        receiver.start()
        try:
            while self._answer():
                if self._spare() == 0:
                    (self.control or self._machine).step()
                self._answer_questions()
        finally:
            self._closing.set()
            self._wakers[1].send(b"x")
            receiver.join()
            for reason, count in self.dropped.items():
                self._machine.report(f"datagrams dropped, {reason}: {count}")
            for sock in (self._scp, self._boot, *self._wakers, *self._reverse.values()):
                sock.close()

    def close(self) -> None:
        """Let `serve` end; from any thread or a signal handler."""
        self._arrived.put(_STOP)

    def ask(self, work: Callable[[], None]) -> None:
        """Have something done between two of the machine's steps, by the thread that owns it; from any thread."""
        self._arrived.put(work)

    @property
    def machine(self) -> Machine:
        """What it is the port of."""
        return self._machine

    @property
    def pace(self) -> Pace:
        """The wall clock's part."""
        return self._pace

    def _spare(self) -> float | None:
        """Seconds for which the machine should do nothing; None: until somebody wants something of it."""
        return None if self.control is not None and self.control.holds() else self._pace.spare()

    def _answer(self) -> bool:
        """Deal with what has arrived, waiting for it while the machine has nothing to do; False to stop."""
        spare = self._spare()
        while spare != 0 or not self._arrived.empty():
            try:
                item = self._arrived.get(timeout=spare)
            except queue.Empty:
                break
            if item is _STOP:
                return False
            if callable(item):
                item()
            else:
                self._handle(*item)
            spare = 0
        return True

    def _handle(self, data: bytes, sender: Sender, port: int) -> None:
        """Deal with a datagram: for a tag's core, or an SDP message."""
        if port != packets.SCP_PORT:
            self._to_tag(data, sender, port)
            return
        message = SDP.decode(data[len(packets.UDP_PADDING):])
        if message is None:
            self.dropped["no message"] += 1
            return
        if message.flags & packets.REPLY_EXPECTED and message.tag == packets.TAG_NONE:
            message = self._with(message, tag=self._machine.tags.transient(sender))
        message = self._with(message, srce_addr=self._machine.root.address)
        self._pace.hear(message)
        if self._machine.at_rest or not asks_for_states(message):
            self._deal_with(_Question(message, sender))
        elif all(message != question.message for question in self._questions):      # not one that is asked again
            if len(self._questions) < _MOST_QUESTIONS:
                self._questions.append(_Question(message, sender))
            else:
                self.dropped["too many questions"] += 1

    def _answer_questions(self) -> None:
        """Tell the states of cores if all are at rest, and in any case to one who has waited long enough."""
        longest = 2 * self._machine.watchdog        # which itself ends a core that does not come to rest
        while self._questions and (self._machine.at_rest or self._questions[0].waited > longest):
            if not self._machine.at_rest:
                self._machine.report(f"cores have not come to rest for {longest:g} s; told their states as they are")
            self._deal_with(self._questions.pop(0))

    def _deal_with(self, question: _Question) -> None:
        """Hand a message to the machine, which may take its time: to stop hundreds of cores, for example."""
        self._in_hand = (question,)
        self._machine.accept(question.message)
        self._in_hand = ()

    @staticmethod
    def _with(message: SDP, **changes: Any) -> SDP:
        return SDP(**{**vars(message), **changes})

    def _to_tag(self, data: bytes, sender: Sender, port: int) -> None:
        """A datagram to the port of a reverse IP tag goes to the tag's core as a message without a header."""
        table = self._machine.tags
        number = table.reverse().get(port)
        if number is None or len(data) > packets.MAX_PAYLOAD:
            self.dropped["not for a tag"] += 1
            return
        self._pace.tell()
        tag = table.table[number]
        tag.address, tag.tx_port = sender
        self._machine.accept(SDP(0x07, number, tag.dest_port, packets.PORT_ETHERNET, tag.dest_addr,
                                 self._machine.root.address, data))

    def _transmit(self, message: SDP) -> None:
        """Send a message to the host that its IP tag names (`eth_send_msg`, scamp-3.c:611)."""
        table = self._machine.tags.table
        tag = table[message.tag] if message.tag < tags.SIZE else tags.Tag()
        if not tag.flags & tags.VALID or not tags.is_loopback(tag.address):
            self._machine.report(f"a message for IP tag {message.tag}, which leads to no loopback address")
            return
        if not tag.flags & tags.TRANSIENT:
            self._pace.tell()
        tag.count += 1
        data = message.payload if tag.flags & tags.STRIP else packets.UDP_PADDING + message.encode()
        try:
            self._scp.sendto(data, (tag.address, tag.tx_port))
        except (OSError, OverflowError) as error:
            self._machine.report(f"IP tag {message.tag} to {tag.address}:{tag.tx_port}: {error}")

    def _follow_tags(self) -> None:
        """Listen on the ports of the reverse IP tags, and only on those."""
        wanted = set(self._machine.tags.reverse()) - {packets.SCP_PORT, packets.BOOT_PORT}
        for port in wanted - set(self._reverse):
            try:
                self._reverse[port] = _socket(self.host, port)
            except (OSError, OverflowError) as error:
                self._machine.report(f"reverse IP tag on port {port}: {error}")
                continue
            self._selector.register(self._reverse[port], selectors.EVENT_READ)
        for port in set(self._reverse) - wanted:
            self._selector.unregister(self._reverse[port])
            self._reverse.pop(port).close()
        self._wakers[1].send(b"x")

    def _receive(self) -> None:
        """Take datagrams until the board closes; the thread that only receives."""
        paused = time.monotonic()
        while not self._closing.is_set():
            for key, _ in self._selector.select(_PATIENCE):
                self._accept(key.fileobj)
            self._reassure()
            if not self._arrived.empty() or time.monotonic() - paused > 1:      # once a second: for the watchdog
                paused = time.monotonic()
                self._machine.pause()

    def _reassure(self) -> None:
        """Let those who wait for an answer know that the board is there."""
        now = time.monotonic()
        for question in (*self._questions, *self._in_hand):
            if question.message.flags & packets.REPLY_EXPECTED and now - question.heard > _REASSURE:
                question.heard = now
                with suppress(OSError):             # it has gone; a complaint about the answer itself will be reported
                    self._scp.sendto(packets.UDP_PADDING + question.reassurance().encode(), question.sender)

    def _accept(self, sock: Any) -> None:
        """Put a datagram of a socket among those that have arrived."""
        try:
            data, sender = sock.recvfrom(2048) if sock is not self._wakers[0] else (sock.recv(64), None)
            port = sock.getsockname()[1] if sender else 0
        except OSError:                             # closed by the other thread, or a complaint about a datagram sent
            return
        if not sender or port == packets.BOOT_PORT:
            return
        if self._arrived.qsize() < _MOST_ARRIVED:
            self._arrived.put((data, sender, port))
        else:
            self.dropped["too many at once"] += 1
