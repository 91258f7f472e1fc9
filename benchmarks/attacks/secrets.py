"""Addresses with passwords and tokens, right and wrong ones, and servers that misbehave: no byte of them may be left.

A case is one command with one secret in it. Its directory is home, temporary and working directory, and holds what it
prints, so whatever it leaves is there; ``left`` looks for the secret in several forms.
"""

import base64
import contextlib
import gzip
import json
import os
import re
import shutil
import tempfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_to_bytes

from attacks import flows, small
from attacks.harness import Case, command

LETTERS = "abcdefghjkmnpqrstuvwxyzACDEFGHJKLMNPRTUVWXYZ2345679"
ODD = "@/:?#%&=+ '\"\\!$é"
WRONG = ("--sorce", "--mode", "--copies", "--seed", "--layer", "--run-dir", "--record", "--arch", "--cv", "--json",
         "--t", "--s", "--parameters", "--rule", "--jobs", "")
ANSWERS = ("fine", "401", "404", "echo", "echoed header", "elsewhere", "here", "ftp", "cut", "garbage", "hang up",
           "empty")
STAGES = ("401", "echo", "garbage", "hang up", "no cookie", "refused", "root echo", "root garbage", "job echo",
          "job 401")
FORM = '<input type="hidden" name="_csrf" value="abc" />'


def prepare(directory):
    """Images, and a run that has loaded them; sPyNNaker is imported once, here, where it is installed."""
    with contextlib.suppress(ImportError):
        import_module("pyNN.spiNNaker")
    run = small.run(directory, 1, "loaddata")
    return directory / "parameters.py", run


def secret(rng, odd):
    """A password that cannot be there by chance, with odd characters if wanted."""
    text = "".join(rng.choice(list(LETTERS), 12))
    for _ in range(rng.integers(1, 4) * odd):
        at = rng.integers(len(text))
        text = text[:at] + str(rng.choice(list(ODD))) + text[at:]
    return text


def meant(text):
    """What a part of an address stands for, bytes that are no UTF-8 included."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def again(text):
    """The same part of an address, with every odd character quoted."""
    return quote(unquote_to_bytes(text), safe="")


def forms(*secrets):
    """Byte strings that give a secret away: whole, in pieces, and encoded."""
    found = set()
    for text in secrets:
        plain = meant(text)
        pieces = [piece for one in (text, plain) for piece in re.split(r"[^0-9A-Za-z]+", one) if len(piece) > 5]
        coded = [base64.b64encode(one.encode(errors="surrogateescape")).decode()[:-4] for one in (text, plain)]
        for form in (text, plain, again(text), quote(unquote_to_bytes(text)), quote_plus(unquote_to_bytes(text)),
                     *pieces, *coded):
            found |= {form.encode("utf-8", "surrogateescape"), form.encode("utf-32-le", "surrogatepass"),
                      json.dumps(form)[1:-1].encode()}
    return {form for form in found if len(form) > 5}


def contents(path):
    """What a file holds, unpacked if it is an archive, and its name."""
    content = path.read_bytes()
    yield os.fsencode(path.name) + b"\0" + content
    if content[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError):
            yield gzip.decompress(content)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def left(where, *secrets):
    """Files below a directory that give one of the secrets away: list of str."""
    looked_for = forms(*secrets)
    return [f"{path.relative_to(where)}" for path in sorted(Path(where).rglob("*")) if path.is_file()
            and any(form in content for content in contents(path) for form in looked_for)]


class Server(ThreadingHTTPServer):
    """A loopback server that answers as it is told, to a data set's request or a spalloc client's."""

    daemon_threads = True

    def __init__(self, how, words=b"", folder=None, other=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.how, self.words, self.folder, self.other, self.asked = how, words, folder, other, []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle_error(self, *_):
        """A client that has gone is none of our business."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def log_message(self, *_):
        """Nothing."""

    def answer(self, code=200, body=b"", **headers):
        """Send an answer."""
        self.send_response(code)
        for name, value in {"Content_Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """Of both kinds of clients."""
        how, words = self.server.how, self.server.words
        self.server.asked.append(dict(self.headers))
        spalloc = "system/login" in self.path or "srv/spalloc" in self.path
        if how == "401":
            self.answer(401, b"who are you, " + words)
        elif how == "echo":
            self.answer(500, b"no entry for " + words)
        elif how == "echoed header":
            self.wfile.write(b"HTTP/1.0 403 not " + words + b"\r\n\r\n")
        elif how == "garbage":
            self.wfile.write(b"220 mail for " + words + b"\r\n\r\n")
        elif how == "hang up":
            self.connection.close()
        elif spalloc and "login" in self.path:
            cookie = {} if how == "no cookie" else {"Set_Cookie": "JSESSIONID=one; Path=/"}
            self.answer(200, FORM.encode(), **cookie)
        elif spalloc:
            self.root(how, words)
        else:
            self.files(how, words)

    def root(self, how, words):
        """What a logged-in client of spalloc is told."""
        if how == "root echo":
            return self.answer(500, words)
        if how == "root garbage":
            return self.answer(200, b"{" + words)
        here = f"http://127.0.0.1:{self.server.server_port}/jobs"
        return self.answer(200, json.dumps({
            "version": {"major-version": 7, "minor-version": 1, "revision": 0}, "machines-ref": here, "jobs-ref": here,
            "csrf-header": "X-CSRF", "csrf-token": "abc"}).encode())

    def do_POST(self):
        """A login, or a job."""
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.how == "refused":
            self.answer(200, json.dumps({"message": f"not {self.server.words.decode(errors='replace')}"}).encode())
        elif "login" in self.path:
            self.answer(302, Location="/", Set_Cookie="JSESSIONID=two; Path=/")
        else:
            self.answer(401 if self.server.how == "job 401" else 500, sent + self.server.words)

    def files(self, how, words):
        """A data set's files."""
        path = self.server.folder / Path(self.path.partition("?")[0]).name.removesuffix(".gz")
        if how == "elsewhere":
            self.answer(302, Location=f"http://127.0.0.1:{self.server.other.server_port}{self.path}")
        elif how == "here" and "again" not in self.path:
            self.answer(302, Location=f"/again{self.path}")
        elif how == "ftp":
            self.answer(302, Location=f"ftp://127.0.0.1:1/{self.server.words.decode('latin-1')}")
        elif how == "404" or not path.is_file():
            self.answer(404, words)
        else:
            body = path.read_bytes()
            self.answer(200, b"" if how == "empty" else body[:-9] if how == "cut" else body)


def case(context, rng, where):
    """A secret in an address, and a mode that is given it."""
    parameters, run = context
    odd, kind = bool(rng.random() < 0.6), rng.choice(("source", "usage", "spalloc", "file"), p=(0.4, 0.4, 0.1, 0.1))
    write = (str, lambda text: quote(text, safe=""))[rng.integers(2)]
    user, password = write("u" + secret(rng, odd)).replace(":", "%3A"), write(secret(rng, odd))
    login = f"{user}:{password}@"
    make = {"source": _source, "usage": _usage, "spalloc": _spalloc, "file": _file}[kind]
    name, words, served = make(rng, login, password)

    def work():
        for folder in ("home", "tmp", "run"):
            (where / folder).mkdir()
        os.environ.update(HOME=str(where / "home"), TMPDIR=str(where / "tmp"), no_proxy="*")
        tempfile.tempdir = None
        os.chdir(where)
        shutil.copytree(run, where / "run", dirs_exist_ok=True)
        if kind == "file":
            line = f"DATASET = {words.pop()!r}"
            text = re.sub("^DATASET = .*$", lambda _: line, parameters.read_text(), flags=re.MULTILINE)
            Path("with-secret.py").write_text(text)
        other = Server("fine", folder=parameters.parent / "digits")
        server = Server(served, unquote_to_bytes(f"{user} {password}"), parameters.parent / "digits", other)
        given = [word.replace("{port}", str(server.server_port)).replace("{parameters}", str(parameters))
                 for word in words]
        try:
            return command(*given)()
        finally:
            Path("with-secret.py").unlink(missing_ok=True)
            if any("Authorization" in headers for headers in other.asked):
                Path("told-another-server").write_text(password)

    def judge(_):
        found = left(where, password, *[user] * (kind != "spalloc"))     # SpiNNMan's log names the user
        return f"left in {', '.join(found)}" if found else None

    return Case(f"{name} {words}", flows.mostly_light(rng, work), judge)


def _source(rng, login, password):
    served, token = str(rng.choice(ANSWERS)), rng.random() < 0.3
    query = f"?{rng.choice(('token', 'sig', 'a_key', 'X-Amz-Signature'))}={again(password)}" * token
    address = "http://" + login * bool(not token or rng.random() < 0.5)
    words = ["--mode", "loaddata", "--parameters", "{parameters}", "--run-dir", "new", "--source",
             address + "127.0.0.1:{port}/sets" + query]
    return f"source, server: {served}", words + ["--json"] * bool(rng.random() < 0.3), served


def _usage(rng, login, password):
    scheme = str(rng.choice(("https://", "spalloc:https://", "spalloc:", "tls://", "", "ftp://", "https:/", "HTTP://")))
    ends = ("127.0.0.1:1/path", "", "nobody.invalid/@x/", f"h?token={again(password)}", "[::1",
            "127.0.0.1:port")
    address = scheme + login + str(rng.choice(ends))
    option = str(rng.choice((*WRONG, *["--target", "--cluster", "--source"] * 3)))
    words = [f"{option}={address}"] if option and rng.random() < 0.3 else [option, address] if option else [address]
    modes = ("demo", "testing", "info", "check", "doctor", "compare", "training")
    more = ["--mode", str(rng.choice(modes)), "--backend", "local", "--run-dir", "run"]
    if option == "--run-dir":       # a new directory, for which the packaged experiment would take minutes
        more[-2:] = ["--parameters", "{parameters}"]
    return "usage", more + words, "404"


def _spalloc(rng, login, password):
    served = str(rng.choice(STAGES))
    return f"spalloc, server: {served}", [
        "--mode", "training", "--layer", "1", "--backend", "spinnaker", "--run-dir", "run", "--target",
        f"spalloc:http://{login}127.0.0.1:{{port}}/spalloc/"], served


def _file(rng, login, password):
    return "DATASET", ["--mode", "loaddata", "--parameters", "with-secret.py", "--run-dir", "new",
                       f"https://{login}127.0.0.1/digits"], "404"
