"""The page: one template, one style, one script, and one block of JSON, which nothing in it can leave.

A policy in the page (Content Security Policy) forbids the browser every request, and every script and style but the two
whose digests it names. The script writes what comes from data as text, never as HTML.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import spikingconvnet
from spikingconvnet.gates.schema import printable

FOLDER = Path(__file__).parent
# A block of a script ends where "</script" stands, and a comment in it may swallow that; two separators end lines of
# old scripts.
ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def block(content: Mapping[str, Any]) -> str:
    r"""A value as JSON that may stand in a page: no character of it means anything to HTML.

    >>> block({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.translate(ESCAPED)


def rendered(content: Mapping[str, Any]) -> bytes:
    """The page: bytes of HTML in UTF-8, the same for the same content.

    Parameters
    ----------
    content : dict
        ``runs``, one or two of ``gather.gathered``, and ``beside``.
    """
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    named = " beside ".join(str(run["about"]["name"]) for run in content["runs"])
    parts = {"TITLE": html.escape(printable(f"{named}: spikingconvnet")), "STYLE": style, "SCRIPT": script,
             "POLICY": policy(style, script), "DATA": block({"version": spikingconvnet.__version__, **content})}
    page, *rest = (FOLDER / "page.html").read_text(encoding="utf-8").split("{{")
    for part in rest:                       # one after another, so that no part is looked for in another one
        name, _, after = part.partition("}}")
        page += parts[name] + after
    return page.encode()


def policy(style: str, script: str) -> str:
    """The Content Security Policy of a page with this style and this script."""
    allowed = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
               for text in (style, script)]
    return (f"default-src 'none'; style-src {allowed[0]}; script-src {allowed[1]}; img-src data:; base-uri 'none';"
            " form-action 'none'")
