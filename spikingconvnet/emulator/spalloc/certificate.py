"""What the server shows its clients: a certificate of its own, for loopback alone.

SpiNNMan 7.4.1 asks for jobs over HTTPS, whatever the server's address says (``fix_url`` in ``spalloc_client.py``). Its
libraries trust the files that REQUESTS_CA_BUNDLE and WEBSOCKET_CLIENT_CA_BUNDLE name.
"""

import ssl
import subprocess
from pathlib import Path

from spikingconvnet.emulator.errors import SetupError

TRUSTED = ("REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE")       # variables of requests, of websocket-client
_DAYS = 3650
_COMMAND = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", str(_DAYS), "-subj", "/CN=emulated SpiNNaker boards",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign"]


def context(path: Path) -> ssl.SSLContext:
    """How to serve with the certificate in a file and its key in the same with ``.key`` behind it; made if not there.

    SetupError if they cannot be made or read.
    """
    key = Path(f"{path}.key")
    if not path.exists():
        _make(path, key)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        found.load_cert_chain(path, key)
    except OSError as error:                        # ssl.SSLError is one
        raise SetupError(f"--certificate {path}: {error}; its key is looked for in {key}") from error
    return found


def _make(path: Path, key: Path) -> None:
    try:
        subprocess.check_output([*_COMMAND, "-keyout", key, "-out", path], stderr=subprocess.STDOUT, text=True,
                                umask=0o077)
    except FileNotFoundError:
        raise SetupError("--spalloc: needs the program openssl to make a certificate; install it, or give one of your "
                         "own: --certificate FILE, with its key in FILE.key") from None
    except subprocess.CalledProcessError as error:
        raise SetupError(f"--certificate {path}: openssl could not make it: {error.output.strip()[-300:]}") from error
