"""An imitation of EBRAINS' queue: a module with the signatures of its client, and what its executor does with a job.

The client is ``nmpi_user.py`` of hbp-neuromorphic-platform 0.11.2, the executor ``PyNNJobProcess.java`` of
JavaSpiNNaker, August 2026: an empty folder, a configuration that the machine is merged into, ``python run.py
spiNNaker``, all new files but those of some folders, and sPyNNaker's reports as a zip.
"""

import configparser
import functools
import inspect
import json
import os
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs, urlsplit

IGNORED = ("reports", "application_generated_data_files")
OURS = ["mnist", "sklearn", "numba", "pooch", "torch", "distributed", "filelock", "shtab", "psutil", "unicorn"]
ALONE = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OURS}:
            raise ImportError("there is sPyNNaker alone, no " + name)
sys.meta_path.insert(0, Missing())
"""
SIGNATURES = {
    "__init__": "(self, username=None, password=None, job_service='https://nmpi-v3.hbpneuromorphic.eu',"
                " authorization_endpoint='https://nmpi-v3.hbpneuromorphic.eu',"
                " user_info_endpoint='https://iam.ebrains.eu/auth/realms/hbp/protocol/openid-connect/userinfo',"
                " token=None, verify=True)",
    "submit_job": "(self, source, platform, collab_id, config=None, inputs=None, command='run.py {system}', tags=None,"
                  " wait=False)",
    "quotas": "(self, collab_id)",
    "job_status": "(self, job_id)", "get_job": "(self, job_id, with_log=True)",
    "download_data": "(self, job, local_dir='.')"}


def executed(folder, code, machine, command):
    """What the executor does with the text of a job: (exit code, log, paths of what it gives back)."""
    alone = folder.with_name(f"{folder.name}-alone")
    for made in (folder, alone):
        made.mkdir(parents=True)
    (alone / "sitecustomize.py").write_text(ALONE)
    (folder / "run.py").write_text(code)
    merged = configparser.ConfigParser()
    merged.read_string(machine)
    with (folder / "spynnaker.cfg").open("w") as stream:
        merged.write(stream)
    before = set(folder.rglob("*"))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(alone), "PYTHONPATH": str(alone)}
    done = subprocess.run([sys.executable, *command.replace("{system}", "spiNNaker").split()], cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if (folder / "reports").is_dir():
        with zipfile.ZipFile(folder / "reports.zip", "w") as archive:
            for path in sorted((folder / "reports").rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
    new = [path for path in sorted(set(folder.rglob("*")) - before) if path.is_file() and path.suffix != ".pyc"
           and not set(path.relative_to(folder).parts[:-1]) & {*IGNORED}]
    return done.returncode, done.stdout, new


class Service:
    """The jobs of a service; ``run(number, code, command)`` does one, as :func:`executed` gives it back."""

    def __init__(self, run, token="a token of EBRAINS"):
        self.run, self.token, self.jobs, self.files = run, token, {}, {}
        self.base = "https://data.example.org"
        self.quotas = {"my-collab": [{"platform": "SpiNNaker", "usage": 20.0, "limit": 5000.0, "units": "core-hours"},
                                     {"platform": "BrainScaleS-2", "usage": 0.0, "limit": 1.0, "units": "hours"}]}
        self.fails = []                 # errors that the next looks at a job raise

    def submit(self, job):
        number = f"/jobs/{42 + len(self.jobs)}"
        self.jobs[number] = {**job, "id": 42 + len(self.jobs), "resource_uri": number,
                             "states": ["submitted", "running"]}
        return number

    def look(self, number):
        if self.fails:
            raise self.fails.pop(0)
        job = self.jobs[number]
        if job["states"]:
            return {**job, "status": job["states"].pop(0), "log": ""}
        if "log" not in job:
            code, log, paths = self.run(number, job["code"], job["command"])
            urls = {f"{self.base}{number}/{path.name}": path.read_bytes() for path in paths}
            self.files |= urls
            job |= {"log": log, "status": "error" if code else "finished", "output_data": {
                "files": [{"url": url, "path": f"job_{job['id']}/{url.rpartition('/')[2]}"} for url in urls]}}
        return job


def client_of(service, token_file):
    """The module `nmpi`, with `nmpi_user` in it."""
    def no_terminal(*_):
        raise AssertionError("asked for a password")

    own = ModuleType("nmpi.nmpi_user")
    own.TOKENFILE, own.getpass = str(token_file), SimpleNamespace(getpass=no_terminal)

    class Client:
        def __init__(self, username=None, password=None, job_service="https://nmpi-v3.hbpneuromorphic.eu",
                     authorization_endpoint="https://nmpi-v3.hbpneuromorphic.eu",
                     user_info_endpoint="https://iam.ebrains.eu/auth/realms/hbp/protocol/openid-connect/userinfo",
                     token=None, verify=True):
            if token != service.token:
                own.getpass.getpass()       # as for "invalid_token"
            self.user_info = {"username": "ada"}
            with open(own.TOKENFILE, "w") as stream:
                json.dump({username: {"access_token": token}}, stream)

        def submit_job(self, source, platform, collab_id, config=None, inputs=None, command="run.py {system}",
                       tags=None, wait=False):
            assert os.path.exists(source) and json.dumps(config) and inputs is tags is None and not wait
            print("Job submitted")
            return service.submit({"command": command, "hardware_platform": platform, "collab": collab_id,
                                   "code": Path(source).read_text(), "hardware_config": config})

        def job_status(self, job_id):
            return self.get_job(job_id, with_log=False)["status"]

        def get_job(self, job_id, with_log=True):
            return service.look(job_id)

        def quotas(self, collab_id):
            return service.quotas.get(collab_id, [])

        def download_data(self, job, local_dir="."):
            for item in job["output_data"]["files"]:
                path = Path(local_dir, item["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(service.files[item["url"]])

    own.Client = Client
    whole = ModuleType("nmpi")
    whole.nmpi_user, whole.Client = own, Client
    return whole


def installed(patch, service, token_file):
    """Have ``import nmpi`` find the imitation."""
    module = client_of(service, token_file)
    patch.setitem(sys.modules, "nmpi", module)
    patch.setitem(sys.modules, "nmpi.nmpi_user", module.nmpi_user)
    return module


def signatures(client):
    """Of a client's methods, as text."""
    return {name: str(inspect.signature(getattr(client, name))) for name in SIGNATURES}


@contextmanager
def over_http(patch, service, token_file):
    """The service at a port of this machine, and its own client asking there: paths as of ``nmpi_user.py``."""
    from nmpi import nmpi_user

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            url = urlsplit(self.path)
            if self.base + self.path in service.files:          # a link to data needs no token
                self.answer(service.files[self.base + self.path])
            elif self.headers["Authorization"] != f"Bearer {service.token}":
                self.answer({"error": "invalid_token"}, 401)
            elif url.path == "/userinfo":
                self.answer({"sub": "1", "preferred_username": "ada"})
            elif url.path == "/projects/":
                asked = parse_qs(url.query)
                assert asked["status"] == ["accepted"]
                self.answer([{"quotas": service.quotas.get(asked["collab"][0], [])}])
            else:
                self.answer(service.look(url.path))

        def do_POST(self):
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            allowed = self.headers["Authorization"] == f"Bearer {service.token}" and self.path == "/jobs/"
            self.answer({"resource_uri": service.submit(sent)} if allowed else {"error": "refused"},
                        200 if allowed else 403)

        def answer(self, said, status=200):
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        service.base = Answers.base = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setattr(nmpi_user, "TOKENFILE", str(token_file))
        patch.setattr(nmpi_user, "Client", functools.partial(
            nmpi_user.Client, job_service=service.base, user_info_endpoint=f"{service.base}/userinfo"))
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1")
        yield
        server.shutdown()
