"""What every request to the server has in common, and the pages by which a client logs in and finds its way.

Sources: ``session.py`` of SpiNNMan 7.4.1. Whoever logs in is let in, by any name, unless the server has been told whom
to expect (:class:`Access`): it is a server for the users of one machine, as the boards are. A login gives a cookie and
a token; requests that change something need both, which keeps out pages of elsewhere that a browser here may have open.
What is refused is an HTTPError, whose reason the client is told as JSON.
"""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tornado.web import HTTPError, RequestHandler

from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.memory_map import XY
from spikingconvnet.emulator.spalloc.jobs import Jobs, Report

VERSION = 5                                         # of boards: SpiNNMan's jobs have no others
MACHINE, TAGS = "emulated-boards", ("default", "emulated")
ROOT = "/srv/spalloc/"
_COOKIE, _TOKEN = "JSESSIONID", "X-CSRF-TOKEN"      # session.py:29; the token's name is told
_SESSIONS = 1000                                    # the oldest ones end


@dataclass(frozen=True)
class Session:
    """Who has logged in: by a token, and in the end by name."""

    token: str
    user: str = ""


@dataclass(frozen=True)
class Access:
    """Who is let in: everybody, or by this name and password or this token alone."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def by_name(self, user: str, password: str) -> bool:
        """Whether a name and password let somebody in."""
        known = _same(user, self.user) and _same(password, self.password)
        return self._open or (bool(self.password) and known)

    def by_token(self, token: str) -> bool:
        """Whether a bearer's token does."""
        return self._open or (bool(self.token) and _same(token, self.token))

    @property
    def _open(self) -> bool:
        return not (self.password or self.token)


def _same(a: str, b: str) -> bool:
    return secrets.compare_digest(a.encode(), b.encode())


EVERYBODY = Access()


class Service:
    """What all requests share.

    Parameters
    ----------
    jobs : Jobs
    report : callable(text): what a person should know
    dead : chips that boards do not have
    access : who is let in
    """

    def __init__(self, jobs: Jobs, report: Report, dead: Sequence[XY] = (), access: Access = EVERYBODY) -> None:
        self.jobs, self.report, self.dead, self.access = jobs, report, dead, access
        self.sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, user: str = "") -> tuple[str, Session]:
        """A new session: its cookie, and what it is."""
        cookie = secrets.token_urlsafe()
        self.sessions[cookie] = Session(secrets.token_urlsafe(), user)
        if len(self.sessions) > _SESSIONS:
            self.sessions.popitem(last=False)
        return cookie, self.sessions[cookie]


class Page(RequestHandler):
    """A request: its session, answers in JSON."""

    def initialize(self, service: Service) -> None:
        """Have what is shared."""
        self.service = service

    @property
    def session(self) -> Session:
        """The session that the request belongs to; refused without one."""
        found = self.service.sessions.get(self.get_cookie(_COOKIE) or "")
        if found is None:
            raise HTTPError(401, reason="log in first")
        return found

    def prepare(self) -> None:
        """Refuse who has not logged in, and what changes something without the session's token."""
        if not self.session.user:
            raise HTTPError(401, reason="log in first")
        if self.request.method != "GET" and not self._has_token():
            raise HTTPError(403, reason=f"the header {_TOKEN} is missing or wrong")

    def _has_token(self) -> bool:
        return secrets.compare_digest(self.request.headers.get(_TOKEN, "").encode(), self.session.token.encode())

    def check_xsrf_cookie(self) -> None:
        """Nothing: `prepare` has looked at the session's token."""

    def url(self, path: str = "", scheme: str = "https") -> str:
        """Address of something of this server, as the client knows it."""
        return f"{scheme}://{self.request.host}{ROOT}{path}"

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what is wrong, in JSON: the client repeats it."""
        self.finish({"message": self._reason})

    def number(self, name: str) -> int:
        """A word of 32 bits among the request's arguments; refused if it is none."""
        text = self.get_query_argument(name, "")
        try:
            number = int(text, 0)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 32:
            raise HTTPError(400, reason=f"{name} must be a whole number of 0 to 2^32 - 1")
        return number


class Form(Page):
    """The page that begins a session; a client with a bearer's token is logged in by it."""

    def prepare(self) -> None:
        """Everybody may see it."""

    def get(self) -> None:
        """The page."""
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        bearer = kind == "Bearer"
        if bearer and not self.service.access.by_token(token):
            raise HTTPError(401, reason="not the token that this server was told")
        cookie, session = self.service.open("bearer of a token" if bearer else "")
        self.set_cookie(_COOKIE, cookie, httponly=True, secure=True, samesite="Strict")
        self.finish(f'<input type="hidden" name="_csrf" value="{session.token}" />')


class Login(Page):
    """What the form is sent to."""

    def prepare(self) -> None:
        """Everybody who has a session may log in."""

    def post(self) -> None:
        """Begin another session, by a name."""
        if not secrets.compare_digest(self.get_body_argument("_csrf", "").encode(), self.session.token.encode()):
            raise HTTPError(403, reason="not the form's token")
        user = self.get_body_argument("username", "")
        if not self.service.access.by_name(user, self.get_body_argument("password", "", strip=False)):
            raise HTTPError(401, reason="not the name and password that this server was told")
        cookie, _ = self.service.open(user or "somebody")
        self.set_cookie(_COOKIE, cookie, httponly=True, secure=True, samesite="Strict")
        self.redirect(self.url())


class About(Page):
    """What the service is."""

    def get(self) -> None:
        """Its version, where its things are, and the session's token."""
        self.finish({"version": {"major-version": 7, "minor-version": 4, "revision": 1},
                     "machines-ref": self.url("machines"), "jobs-ref": self.url("jobs"),
                     "csrf-header": _TOKEN, "csrf-token": self.session.token})


class Machines(Page):
    """The machines: one, of boards that come and go."""

    def get(self) -> None:
        """All of them."""
        width, height = Layout(VERSION).dimensions
        self.finish({"machines": [{"name": MACHINE, "tags": TAGS, "uri": self.url(f"machines/{MACHINE}"),
                                   "width": width, "height": height, "dead-boards": [], "dead-links": []}]})
