"""The boards' Ethernet ports: UDP on loopback addresses, as SC&MP serves them.

Two threads: one only receives, the other owns the machine, answers what has arrived and lets the machine go on in
between. A core that runs is paused when a datagram arrives, so answers come soon; pausing does not change results.

Only what asks for the states of cores waits until those that have something to do have done it: on a board they work
side by side, and a front end that counts them right after it has started them gives up soon (SpiNNFrontEndCommon 7.4.1,
``load_executable_images.py``: 10 s).

Not modelled: boot images (the machine is booted; what comes to the boot port is dropped, as a booted board does), ARP,
ping, fragments. Messages go to loopback addresses and to no others, whatever a message or tag says.
"""

import queue
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from spikingconvnet.emulator import packets, tags
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import XY
from spikingconvnet.emulator.monitor import asks_for_states
from spikingconvnet.emulator.pace import Pace
from spikingconvnet.emulator.packets import SDP
from spikingconvnet.emulator.ports import Port, open_ports

if TYPE_CHECKING:           # which asks it
    from spikingconvnet.emulator.control import Control

Sender: TypeAlias = tuple[str, int]                 # address, port

_PATIENCE = 0.06                                    # s after which it is looked whether a core should be paused
_MOST_ARRIVED, _MOST_QUESTIONS = 10_000, 256        # datagrams, questions that wait; later are lost
_STOP = object()
_REASSURE = 0.4                                     # s after which one whose question waits hears something; SpiNNMan
                                                    # asks again after 1 s and gives up after 11 (7.4.1, constants.py)
_NOBODYS = 0x8000                                   # added to a sequence number: one that is not in use


class _Question:
    """A message whose answer has to wait, from whom and since when; and when its sender last heard of the board."""

    def __init__(self, message: SDP, sender: Sender, port: Port) -> None:
        self.message, self.sender, self.port = message, sender, port
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


class Ethernet:
    """The ports of a machine, one a board.

    Parameters
    ----------
    host : loopback address to listen on; None: the first of 127.0.0.2, 127.0.0.3, ... that is free
    real_time : whether simulated time keeps to the wall clock; None: while somebody outside takes part (`pace.Pace`)
    ethernets : chips that have a port

    Raises
    ------
    SetupError
        A host that is no loopback address, or none is free.
    """

    _machine: Machine                               # once it is attached
    _pace: Pace

    def __init__(self, host: str | None = None, real_time: bool | None = None,
                 ethernets: Sequence[XY] = ((0, 0),)) -> None:
        self._ports = {port.xy: port for port in open_ports(host, ethernets)}
        self._selector = selectors.DefaultSelector()
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wakers = socket.socketpair()
        self._selector.register(self._wakers[0], selectors.EVENT_READ)
        for port in self._ports.values():
            for sock in (port.scp, port.boot):
                self._selector.register(sock, selectors.EVENT_READ, port)
        self._closing = threading.Event()
        self._real_time = real_time
        self._questions: list[_Question] = []       # that wait for cores to come to rest
        self.dropped: Counter[str] = Counter()      # datagrams, by reason
        self._in_hand: tuple[_Question, ...] = ()   # the one that is being dealt with
        self.control: Control | None = None         # what the process that started the board asks of it

    @property
    def hosts(self) -> list[str]:
        """Addresses of the boards; the first is what the machine is called."""
        return [port.host for port in self._ports.values()]

    def attach(self, machine: Machine) -> None:
        """Become the ports of a machine: what is sent leaves here, and what arrives is for it."""
        self._machine, machine.transmit = machine, self._transmit
        self._pace = Pace(machine, self._real_time)
        for port in self._ports.values():
            machine.tags[port.xy].changed = partial(self._follow_tags, port)
            self._follow_tags(port)                 # a machine that goes on from a snapshot has some

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
            for sock in self._wakers:
                sock.close()
            for port in self._ports.values():
                port.close()

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

    def _handle(self, data: bytes, sender: Sender, port: Port, udp_port: int = packets.SCP_PORT) -> None:
        """Deal with a datagram to a board's UDP port: for a tag's core, or an SDP message."""
        if udp_port != packets.SCP_PORT:
            self._to_tag(data, sender, port, udp_port)
            return
        message = SDP.decode(data[len(packets.UDP_PADDING):])
        if message is None:
            self.dropped["no message"] += 1
            return
        if message.flags & packets.REPLY_EXPECTED and message.tag == packets.TAG_NONE:
            message = self._with(message, tag=self._machine.tags[port.xy].transient(sender))
        message = self._with(message, srce_addr=port.address)
        self._pace.hear(message)
        if message.core and not self._machine.hears:        # it would overtake packets that have been sent before it
            self._wait(message, sender, port, _MOST_ARRIVED)
        elif self._machine.at_rest or not asks_for_states(message):
            self._deal_with(_Question(message, sender, port))
        elif all(message != question.message for question in self._questions):      # not one that is asked again
            self._wait(message, sender, port, _MOST_QUESTIONS)

    def _wait(self, message: SDP, sender: Sender, port: Port, most: int) -> None:
        """Let a message wait until all cores are at rest."""
        if len(self._questions) < most:
            self._questions.append(_Question(message, sender, port))
        else:
            self.dropped["too many questions"] += 1

    def _answer_questions(self) -> None:
        """Deal with what has to wait until all cores are at rest, and in any case with what has waited long enough."""
        longest = 2 * self._machine.watchdog        # which itself ends a core that does not come to rest
        while self._questions and (self._machine.at_rest or self._questions[0].waited > longest):
            if not self._machine.at_rest:
                self._machine.report(f"cores have not come to rest for {longest:g} s; what waits for it is dealt"
                                     " with now")
            self._deal_with(self._questions.pop(0))

    def _deal_with(self, question: _Question) -> None:
        """Hand a message to the machine, which may take its time: to stop hundreds of cores, for example."""
        self._in_hand = (question,)
        self._machine.accept(question.message)
        self._in_hand = ()

    @staticmethod
    def _with(message: SDP, **changes: Any) -> SDP:
        return SDP(**{**vars(message), **changes})

    def _to_tag(self, data: bytes, sender: Sender, port: Port, udp_port: int) -> None:
        """A datagram to the port of a reverse IP tag goes to the tag's core as a message without a header."""
        table = self._machine.tags[port.xy]
        number = table.reverse().get(udp_port)
        if number is None or len(data) > packets.MAX_PAYLOAD:
            self.dropped["not for a tag"] += 1
            return
        self._pace.tell()
        tag = table.table[number]
        tag.address, tag.tx_port = sender
        self._machine.accept(SDP(0x07, number, tag.dest_port, packets.PORT_ETHERNET, tag.dest_addr, port.address,
                                 data))

    def _transmit(self, message: SDP) -> None:
        """Send a message to the host that its IP tag names (`eth_send_msg`, scamp-3.c:611)."""
        port = self._ports[self._machine.layout.ethernet_at(message.dest_addr)]
        table = self._machine.tags[port.xy].table
        tag = table[message.tag] if message.tag < tags.SIZE else tags.Tag()
        if not tag.flags & tags.VALID or not tags.is_loopback(tag.address):
            self._machine.report(f"a message for IP tag {message.tag}, which leads to no loopback address")
            return
        if not tag.flags & tags.TRANSIENT:
            self._pace.tell()
        tag.count += 1
        data = message.payload if tag.flags & tags.STRIP else packets.UDP_PADDING + message.encode()
        try:
            port.scp.sendto(data, (tag.address, tag.tx_port))
        except (OSError, OverflowError) as error:
            self._machine.report(f"IP tag {message.tag} to {tag.address}:{tag.tx_port}: {error}")

    def _follow_tags(self, port: Port) -> None:
        """Listen on the UDP ports of a board's reverse IP tags, and only on those."""
        wanted = set(self._machine.tags[port.xy].reverse()) - {packets.SCP_PORT, packets.BOOT_PORT}
        for number in wanted - set(port.reverse):
            try:
                self._selector.register(port.open(number), selectors.EVENT_READ, port)
            except (OSError, OverflowError) as error:
                self._machine.report(f"reverse IP tag on port {number}: {error}")
        for number in set(port.reverse) - wanted:
            self._selector.unregister(port.reverse[number])
            port.reverse.pop(number).close()
        self._wakers[1].send(b"x")

    def _receive(self) -> None:
        """Take datagrams until the board closes; the thread that only receives."""
        paused = time.monotonic()
        while not self._closing.is_set():
            for key, _ in self._selector.select(_PATIENCE):
                self._accept(key.fileobj, key.data)
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
                    question.port.scp.sendto(packets.UDP_PADDING + question.reassurance().encode(), question.sender)

    def _accept(self, sock: Any, port: Port | None) -> None:
        """Put a datagram of a socket of a board's port among those that have arrived; None: of our own."""
        try:
            data, sender = sock.recvfrom(2048) if port else (sock.recv(64), None)
            udp_port = sock.getsockname()[1] if sender else 0
        except OSError:                             # closed by the other thread, or a complaint about a datagram sent
            return
        if not sender or udp_port == packets.BOOT_PORT:
            return
        if self._arrived.qsize() < _MOST_ARRIVED:
            self._arrived.put((data, sender, port, udp_port))
        else:
            self.dropped["too many at once"] += 1
