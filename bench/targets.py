"""What is measured: the programs, how each is started, stopped, pinned and put to sleep."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import proc

HERE = Path(__file__).parent
START_S = 20.0
STORES = ("valkey", "redis")
GAUGER = (
    "{bin}/gauger serve --policies {policies} --upstream http://127.0.0.1:{upstream} --listen 127.0.0.1:{port} "
    "--store embedded --data {data}"
)
NGINX = """\
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log error; worker_rlimit_nofile 4096;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; tcp_nodelay on; client_max_body_size 32m; client_body_buffer_size 256k;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://model; }} }}
}}
"""


class Cores(NamedTuple):
    """Which core the target has to itself, and which all the others share. Both None: this machine has one."""

    target: int | None
    others: int | None


def cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1]) if len(allowed) > 1 else Cores(None, None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Target:
    """A started program. `direct` has none: the load goes to the fake upstream itself."""

    def __init__(
        self, name: str, port: int, command: list[str], log: Path, *, core: int | None, store_core: int | None
    ) -> None:
        self.name, self.port, self.log = name, port, log
        environ = {**os.environ, "GAUGER_SECRET": "bench-secret", "UPSTREAM_API_KEY": "bench-upstream-key"}
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.core, self.store_core = core, store_core

    def ready(self, path: str) -> None:
        """Wait until it answers `path` with any status below 500, then pin it. Raises SystemExit with what it said."""
        until_s = time.monotonic() + START_S
        while not self._answers(path):
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.stop()
                raise SystemExit(f"{self.name} does not answer on port {self.port}. It said:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        if self.core is not None and self.store_core is not None:
            proc.pin(self.own(), self.core)
            proc.pin([*self.store(), *self.analyst()], self.store_core)

    def _answers(self, path: str) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as response:
                return bool(response.status < 500)
        except (URLError, OSError):
            return False

    def own(self) -> list[int]:
        """Its processes, less the store's and the analyst's."""
        return [pid for pid in proc.family(self.process.pid) if not _is_store(pid) and not _is_analyst(pid)]

    def store(self) -> list[int]:
        return [pid for pid in proc.family(self.process.pid) if _is_store(pid)]

    def analyst(self) -> list[int]:
        """Who judges what was seen, off the path."""
        return [pid for pid in proc.family(self.process.pid) if _is_analyst(pid)]

    def sleep(self) -> None:
        """Take no CPU while another is measured. The store last: nobody then waits for it."""
        proc.send([*self.own(), *self.analyst(), *self.store()], signal.SIGSTOP)

    def wake(self) -> None:
        proc.send([*self.store(), *self.analyst(), *self.own()], signal.SIGCONT)

    def stop(self) -> None:
        """End it and all it started. Idempotent."""
        pids = proc.family(self.process.pid) if self.process.poll() is None else []
        self.wake()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            proc.send(pids, signal.SIGKILL)
            self.process.wait(5)


def _is_store(pid: int) -> bool:
    return any(word in proc.name(pid) for word in STORES)


def _is_analyst(pid: int) -> bool:
    return "analyst" in proc.arguments(pid)


def start_upstream(port: int, log: Path, core: int | None) -> Target:
    target = Target(
        "the fake upstream", port, [sys.executable, str(HERE / "fake_upstream.py"), str(port)], log, core=core, store_core=core
    )
    target.ready("/")
    return target


def start_nginx(upstream: int, room: Path, at: Cores) -> Target | None:
    """nginx as a plain proxy with kept-alive connections and no buffering; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    port, config = free_port(), room / "nginx.conf"
    config.write_text(NGINX.format(dir=room, upstream=upstream, port=port))
    command = [program, "-p", str(room), "-c", str(config), "-e", str(room / "nginx.log")]
    target = Target("nginx", port, command, room / "nginx.out", core=at.target, store_core=at.others)
    target.ready("/")
    return target


def start_gauger(template: str, upstream: int, room: Path, at: Cores) -> Target:
    port = free_port()
    words = {"bin": Path(sys.executable).parent, "policies": HERE / "policies", "upstream": upstream, "port": port}
    command = [part.format(**words, data=room / "data") for part in shlex.split(template)]
    target = Target("gauger", port, command, room / "gauger.log", core=at.target, store_core=at.others)
    target.ready("/readyz")
    return target
