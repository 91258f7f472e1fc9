"""What ``--target`` may be: machines, and names and addresses that a board could have; anything else is refused."""

import socket

import pytest

from spikingconvnet.board.resources import MACHINES, machine
from spikingconvnet.board.targets import check_target
from spikingconvnet.errors import SettingsError


@pytest.fixture(autouse=True)
def hosts(monkeypatch):
    """A network with one host that has a bare name."""
    def look_up(name):
        if name != "board4":
            raise socket.gaierror("not known")
        return "10.0.0.4"

    monkeypatch.setattr(socket, "gethostbyname", look_up)


@pytest.mark.parametrize("target", [
    "emulated", "virtual", "spin3", "spin5", "spin5:board", "spin3:192.168.240.253", "192.168.240.1", "board4",
    "spinn-4.example.org", "spalloc:https://me:secret@example.org/spalloc/"])
def test_machines_names_and_addresses_are_targets(target):
    check_target(target)


@pytest.mark.parametrize("target, text", [
    ("spin7", "did you mean spin5?"), ("emulate", "did you mean emulated?"), ("foo", "no machine is called that, and"),
    ("full", "no machine is called that"), ("spin5x2", "did you mean spin5?"), ("192.168.240", "no machine"),
    ("192.168.240.256", "no machine"), ("a board", "no machine"), ("-x.example", "no machine"), ("..", "no machine"),
    ("spin5:", "'' is no board's name or address"), ("spin3:1.2.3", "'1.2.3' is no board's name"),
    ("spin5:a_b", "'a_b' is no board's name"), ("spin7:board4", "no machine is called that")])
def test_anything_else_is_refused_with_what_there_is(target, text):
    with pytest.raises(SettingsError, match=f"^--target {target}: ") as caught:
        check_target(target)
    assert text in str(caught.value)
    assert "looked up" not in str(caught.value) or "spin3[:HOST], spin5[:HOST], spalloc:URL" in str(caught.value)


@pytest.mark.parametrize("url", ["", "example.org", "ftp://me:secret@example.org", "https://me:secret@", "https://[me"])
def test_a_server_has_an_address_and_a_password_is_not_repeated(url):
    with pytest.raises(SettingsError, match="--target spalloc:URL: URL must be the http") as caught:
        check_target(f"spalloc:{url}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("target", ["spin7", "foo", "spin5y3", "ful"])
def test_no_network_is_checked_for_a_machine_that_is_none(target):
    with pytest.raises(SettingsError, match="there are spin5x3, full, emulated, virtual, spin3"):
        machine(target)
    assert machine("spin5x3") == MACHINES["spin5x3"] and machine("board4").boards == 1
