"""Addresses of data sets, servers and clusters: what everybody may see of them, and what is secret in them.

An :class:`Address` is a text that lacks its secrets, so nothing that prints, stores, sends or digests it tells more
than it should, and whoever forgets that it has some is refused by the other side. ``apart`` makes one of every word of
a command line before anything else looks at it.
"""

import base64
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from logging import Logger
from urllib.parse import quote, quote_plus, unquote_to_bytes

from spikingconvnet.errors import SettingsError

SCHEME = re.compile(r"(?:spalloc:)?[a-z][a-z0-9+.-]*://", re.IGNORECASE)
HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?", re.DOTALL)
SECRET = re.compile("pass|pwd|secret|token|key|auth|sig|cred|session|jwt|code|pin", re.IGNORECASE)    # in a name
WORD = re.compile("[a-z0-9_.,-]{0,15}", re.IGNORECASE)      # values of other names that may be seen
SOURCE_LOGIN = "SPIKINGCONVNET_SOURCE"      # ..._USER and ..._PASSWORD, for a data set's address that has none
SPALLOC_LOGIN = "SPALLOC"           # of SpiNNMan, which also takes `TOKEN`
TOKEN = "OIDC_BEARER_TOKEN"        # of EBRAINS, for its queue and for spalloc
SHORTEST = 4        # characters of a secret that is looked for in what a server says


@dataclass(frozen=True)
class Login:
    """A user's name and password, or None; neither is in its ``repr``."""

    user: str = field(repr=False)
    password: str | None = field(repr=False)

    def basic(self) -> str:
        """Value of an ``Authorization`` header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password or str()}'.encode()).decode()}"

    @classmethod
    def from_environment(cls, prefix: str) -> "Login | None":
        """That of the variables ``<prefix>_USER`` and ``<prefix>_PASSWORD``; None unless both are set."""
        user, password = (os.environ.get(f"{prefix}_{name}") for name in ("USER", "PASSWORD"))
        return cls(user, password) if user and password else None


class Address(str):
    """An address without what is secret in it; without a scheme, the text itself.

    Secret are the user's name and password, and in query and fragment what has the name of a secret, no name, or a
    value that is no word of up to 15 letters and digits. Addresses that differ in secrets alone are equal.

    Parameters
    ----------
    text : str
        As a user has written it; an Address is given back as it is.

    Raises
    ------
    SettingsError
        It can be read in two ways, or has a password and no scheme; nothing of it is repeated.

    >>> Address("https://me:secret@example.org/sets/?token=abc")
    'https://example.org/sets/'
    """

    __slots__ = ("_full", "_login")
    _login: Login | None
    _full: str

    def __new__(cls, text: str) -> "Address":
        """Part a text into what may be seen and what may not."""
        if isinstance(text, cls):
            return text
        found = SCHEME.match(text)
        if not found:
            _refuse_hidden(text)
            return cls._made(text, text, None)
        authority, rest = _groups("([^/?#]*)(.*)", text[found.end():], re.DOTALL)
        userinfo, _, host = authority.rpartition("@")
        if "@" in rest and re.search("[:@].*@", authority + rest, re.DOTALL):
            raise SettingsError("an address can be read in two ways and is not repeated here, as it may hold a"
                                " password; write / ? # and @ in a user's name, a password and a path as %2F %3F %23"
                                " and %40")
        if not HOST.fullmatch(host):
            raise SettingsError("an address has a port that is no number and is not repeated here, as it may be a"
                                " password; write https://USER:PASSWORD@HOST:PORT/")
        path, query, fragment = _groups(r"([^?#]*)(\?[^#]*)?(#.*)?", rest, re.DOTALL)
        begin = found[0] + host + path
        return cls._made(begin + _public(query) + _public(fragment), begin + query + fragment, _login(userinfo))

    @classmethod
    def _made(cls, text: str, full: str, login: Login | None) -> "Address":
        made = super().__new__(cls, text)
        made._login, made._full = login, full
        return made

    @property
    def login(self) -> Login | None:
        """What stands before the host: Login, or None."""
        return self._login

    @property
    def has_secret(self) -> bool:
        """Whether it is more than its text."""
        return self._login is not None or self._full != self

    def in_full(self) -> str:
        """The address with whatever is secret in its query, for the one request that needs it; no login."""
        return self._full

    def warn(self, login: Login | None, log: Logger) -> None:
        """Say in the log that secrets travel in clear, if they do."""
        if re.match("(spalloc:)?http://", self, re.IGNORECASE) and (login or self.has_secret):
            log.warning("warning: %s is not encrypted, so whoever is on the way can read the password; use https", self)


def _groups(pattern: str, text: str, flags: re.RegexFlag) -> tuple[str, ...]:
    """Groups of a pattern that every text matches; empty where there is nothing."""
    found = re.fullmatch(pattern, text, flags)
    return found.groups(default="") if found else ()


def _refuse_hidden(text: str) -> None:
    """Refuse a text without a scheme in front that has a password or an address with secrets all the same."""
    inner = SCHEME.search(text)
    if (inner and Address(text[inner.start():]).has_secret) or re.match(r"(?![./~]).*?:.*@", text, re.DOTALL):
        raise SettingsError("an address with a password has its scheme in front, as https://USER:PASSWORD@HOST/ or"
                            " spalloc:https://USER:PASSWORD@HOST/, and what is given is not repeated here; a file of"
                            " such a name is written ./NAME")


def _login(userinfo: str) -> Login | None:
    """A user's name and password as an address has them, None without any."""
    if not userinfo:
        return None
    user, colon, password = userinfo.partition(":")
    try:
        parts = [unquote_to_bytes(part.encode(errors="surrogateescape")).decode() for part in (user, password)]
    except UnicodeError:
        parts = ["\0"]
    if re.search("[\0-\x1f\x7f]", "".join(parts)):
        raise SettingsError("an address has a user's name or password with control characters, or that is no UTF-8, and"
                            " is not repeated here") from None
    return Login(parts[0], parts[1] if colon else None)


def _public(part: str) -> str:
    """Query or fragment, its mark included, without what is secret in it."""
    pieces = part[1:].split("&")
    shown = [piece for piece in pieces if not piece or _is_public(*piece.partition("="))]
    if len(shown) == len(pieces):
        return part
    return part[0] + "&".join(shown) if shown else ""


def _is_public(name: str, equals: str, value: str) -> bool:
    return bool(equals and not SECRET.search(name) and WORD.fullmatch(value) and WORD.fullmatch(name))


def apart(words: Iterable[str]) -> list[str]:
    """The words of a command line as Addresses, ``--name=address`` with secrets as two: list of str."""
    found: list[str] = []
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        parts = [Address(option), Address(value)] if equals else [Address(word)]
        found += parts if parts[-1].has_secret else [word]
    return found


def hidden(text: str) -> str:
    """A text of somebody else without the secrets of spalloc and EBRAINS that are in the environment of this process.

    A server may repeat in its answers what it was sent, and SpiNNMan tells how long a password is.
    """
    password, token = os.environ.get(f"{SPALLOC_LOGIN}_PASSWORD", ""), os.environ.get(TOKEN, "")
    whole = Login(os.environ.get(f"{SPALLOC_LOGIN}_USER", ""), password).basic().partition(" ")[2] if password else ""
    length = f"a {len(password)} character password" if password else ""
    found = {form for secret in (password, whole, token, length) if secret for form in _forms(secret)}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, "(hidden)") if len(secret) >= SHORTEST else text
    return text


def _forms(secret: str) -> set[str]:
    """A secret as addresses, Python's texts and bytes, and headers of HTTP (UTF-8 read as Latin-1) show it."""
    sent = secret.encode("utf-8", "surrogateescape")
    texts = secret, sent.decode("latin-1")
    shown = {repr(sent + b'"')[2:-2], *(repr(text + '"')[1:-2] for text in texts)}      # with a quote of either kind
    return {*texts, quote(sent), quote_plus(sent), quote(sent, safe=""), *shown,
            *(form.replace("\\'", "'") for form in shown)}
