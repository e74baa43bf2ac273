"""What the analyst remembers beyond what fits in memory: windows, histories and marks, in one SQLite file.

Failure policy: `checkpoint` writes everything since the last one in one transaction, together with how far the stream had been
read: whatever happens, windows and position belong together, and what was read since then is read again. A file that is damaged
is put aside and the analyst begins afresh, from the position that the store knows: a window is whole again after some dozens of
requests, and where subjects stand on their ladders is in the store.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path

import structlog

from gateway.detectors import History, Window
from gateway.errors import SettingsError

log = structlog.get_logger()

WINDOWS_MAX = 1_024
"""Windows in memory, with their histories about 40 kB each; of the others each is read when it is needed."""


class Archive:
    """One process at a time: the lease sees to it, and a lock of the file where it does not."""

    def __init__(self, path: Path, *, windows_max: int = WINDOWS_MAX) -> None:
        """Raises SettingsError: the directory cannot be used."""
        self._path = path
        self._windows_max = windows_max
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._histories: dict[str, History] = {}
        """Of tenants whose window is in memory."""
        self._dirty: set[str] = set()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._open()
        except OSError as error:
            raise SettingsError(f"data: {path.parent} cannot be made or used: {error.strerror or error}") from error
        except sqlite3.OperationalError as error:  # another has it, or the disk does not let itself be written: no damage
            raise SettingsError(f"data: {path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(".damaged")
            log.error("analyst_archive_damaged", file=str(path), kept_as=str(aside), reason=str(error))
            path.replace(aside)
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("CREATE TABLE IF NOT EXISTS windows (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")
        db.execute("CREATE TABLE IF NOT EXISTS histories (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")
        db.execute("CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")
        db.execute(
            "CREATE TABLE IF NOT EXISTS pardons (name TEXT PRIMARY KEY, at_us INTEGER NOT NULL, in_links INTEGER NOT NULL)"
            " WITHOUT ROWID"
        )
        db.execute("BEGIN")
        return db

    def window(self, name: str) -> Window:
        """The window of this name, a new one where there is none."""
        window = self._windows.get(name)
        if window is not None:
            self._windows.move_to_end(name)
            return window
        window = self._windows[name] = self._read(name) or Window()
        while len(self._windows) > self._windows_max:
            oldest, left = self._windows.popitem(last=False)
            if oldest in self._dirty:
                self._dirty.discard(oldest)
                self._write(oldest, left)
            self._histories.pop(oldest, None)
        return window

    def history(self, name: str) -> History:
        """What is known of the past of this name, a new one where there is nothing."""
        self.window(name)
        history = self._histories.get(name)
        if history is None:
            history = self._histories[name] = self._read_history(name) or History()
        return history

    def changed(self, name: str) -> None:
        """The window was added to, or the history."""
        self._dirty.add(name)

    def put(self, name: str, window: Window) -> None:
        self.window(name)
        self._windows[name] = window
        self._dirty.add(name)

    def forget(self, name: str) -> None:
        self._windows.pop(name, None)
        self._histories.pop(name, None)
        self._dirty.discard(name)
        self._db.execute("DELETE FROM windows WHERE name = ?", (name,))
        self._db.execute("DELETE FROM histories WHERE name = ?", (name,))

    def obey(self, name: str, at_us: int) -> None:
        """Forget the window and the history, and remember by which pardon: an archive that lay aside does not know of it."""
        self.forget(name)
        self._db.execute("INSERT OR REPLACE INTO pardons VALUES (?, ?, 0)", (name, at_us))

    def obeyed(self, name: str) -> tuple[int, bool]:
        """The last pardon of this name that is known here, by its time, and whether the links that are kept know of it too."""
        found = self._db.execute("SELECT at_us, in_links FROM pardons WHERE name = ?", (name,)).fetchone()
        return (0, False) if found is None else (int(found[0]), bool(found[1]))

    def mark(self, name: str) -> bytes | None:
        found = self._db.execute("SELECT data FROM marks WHERE name = ?", (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def checkpoint(self, **marks: bytes) -> None:
        """Write everything since the last one, and these marks."""
        for name in self._dirty:
            self._write(name, self._windows[name])
        self._dirty.clear()
        if "links" in marks:
            self._db.execute("UPDATE pardons SET in_links = 1 WHERE in_links = 0")
        for name, data in marks.items():
            self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, data))
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def close(self) -> None:
        """What came after the last checkpoint is forgotten."""
        self._db.rollback()
        self._db.close()

    def discard(self) -> None:
        """Close it, and leave no file of it."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def _read(self, name: str) -> Window | None:
        found = self._db.execute("SELECT data FROM windows WHERE name = ?", (name,)).fetchone()
        try:
            return None if found is None else Window.load(bytes(found[0]))
        except ValueError:  # of another version
            return None

    def _read_history(self, name: str) -> History | None:
        found = self._db.execute("SELECT data FROM histories WHERE name = ?", (name,)).fetchone()
        try:
            return None if found is None else History.load(bytes(found[0]))
        except ValueError:  # of another version
            return None

    def _write(self, name: str, window: Window) -> None:
        self._db.execute("INSERT OR REPLACE INTO windows VALUES (?, ?)", (name, window.dump()))
        history = self._histories.get(name)
        if history is not None:
            self._db.execute("INSERT OR REPLACE INTO histories VALUES (?, ?)", (name, history.dump()))
