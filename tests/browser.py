"""A page in a real browser: Chromium without a screen, driven by its own protocol. Needs Chromium on the PATH."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync", "--remote-debugging-port=0"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions"),
)
WAIT_S = 30
"""For one answer of the browser, on a machine that does something else."""


def found() -> str | None:
    """The browser's path; None: this machine has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """What a browser made of one file."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        """What the console has: errors, and what the page's own security policy kept from being loaded."""
        self.fetched: list[str] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = self._next()
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def _next(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv(WAIT_S))
        if said.get("method") == "Log.entryAdded":
            self.complaints.append(said["params"]["entry"]["text"])
        elif said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(said["params"]["exceptionDetails"]["text"])
        elif said.get("method") == "Network.requestWillBeSent":
            self.fetched.append(said["params"]["request"]["url"])
        return said

    def open(self, file: Path, width: int) -> None:
        """Load it, `width` CSS pixels wide."""
        self.complaints, self.fetched = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=file.resolve().as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, script: str) -> Any:
        """What a JavaScript expression comes to in the page."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")


@contextmanager
def browser(directory: Path) -> Iterator[Page]:
    """One tab of a browser of its own, whose files go to `directory`."""
    path = found()
    assert path is not None
    flags = [*FLAGS, f"--user-data-dir={directory}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with subprocess.Popen([path, *flags, "about:blank"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if line.startswith("DevTools listening on "))
            base = re.sub(r"/devtools/.*", "", line.split()[-1])
            with connect(line.split()[-1], max_size=None, proxy=None) as whole:
                tabs = Page(whole).ask("Target.getTargets")["targetInfos"]
            tab = next(each["targetId"] for each in tabs if each["type"] == "page")
            with connect(f"{base}/devtools/page/{tab}", max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.stderr.read()  # until it has ended
