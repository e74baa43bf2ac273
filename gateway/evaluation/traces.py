"""When requests come and how large their answers are, from real traces.

A trace is a CSV (or CSV.gz) known by its columns, whatever it is called:

- `client, window_start_s, rate_rps, cv` (and `dist`): windows of real API clients, from which arrivals are drawn;
- `client, out_p50, out_p95` (by window): how long those clients' answers are;
- `timestamp_s, input_tokens, output_tokens`: a log of requests, from which sizes are drawn where no client's are known.

Rates are no timestamps: within a window the gaps are drawn from the distribution that was fitted to the client there, at the
window's own rate, and windows follow one another as they did.

Failure policy: a row that cannot be used is left out and counted; without client windows or without any sizes there is nothing
honest to draw from, and that is an error.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from gateway.errors import SettingsError

WINDOW_S = 600
GAP_MIN_S = 0.001
CV_MIN, CV_MAX = 0.05, 20.0
DAY_S = 86_400
BYTES_MAX = 400_000_000
TOKENS_MAX = 200_000
_WINDOWS = {"client", "window_start_s", "rate_rps", "cv"}
_SIZES = {"client", "out_p50", "out_p95"}
_LOG = {"timestamp_s", "input_tokens", "output_tokens"}


class Window(NamedTuple):
    start_s: int
    rate_rps: float
    cv: float
    dist: str


class Sizes(NamedTuple):
    """Answers of one client: a log-normal with this median and spread."""

    median: float
    sigma: float

    def draw(self, rng: Random) -> int:
        return max(1, min(TOKENS_MAX, round(self.median * math.exp(self.sigma * rng.gauss(0.0, 1.0)))))


class Client(NamedTuple):
    name: str
    windows: tuple[Window, ...]
    sizes: Sizes | None
    requests_a_day: int


class Trace(NamedTuple):
    """One file, as the report tells it."""

    file: str
    what: str
    rows: int
    bad_rows: int


class Traces(NamedTuple):
    clients: tuple[Client, ...]
    outputs: tuple[int, ...]
    """Output tokens of logged requests, sorted."""
    files: tuple[Trace, ...]

    def client(self, rng: Random) -> Client:
        return rng.choice(self.clients)

    def output_tokens(self, rng: Random, client: Client | None = None) -> int:
        """The length of one answer: the client's own where it is known, else of some logged request."""
        if client is not None and client.sizes is not None:
            return client.sizes.draw(rng)
        if self.outputs:
            return rng.choice(self.outputs)
        sized = self.client(rng)
        while sized.sizes is None:
            sized = self.client(rng)
        return sized.sizes.draw(rng)


def load(directory: Path) -> Traces:
    """Read every trace of a directory. Raises SettingsError where there is nothing to draw from."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    except OSError as error:
        raise SettingsError(f"--traces: {directory} cannot be read: {error.strerror}") from None
    windows: dict[str, list[Window]] = {}
    sizes: dict[str, list[tuple[float, float]]] = {}
    outputs: list[int] = []
    files = []
    for path in paths:
        files.append(_read(path, windows, sizes, outputs))
    clients = tuple(
        _client(name, sorted(found), sizes.get(name, [])) for name, found in sorted(windows.items()) if len(found) > 1
    )
    if not clients:
        columns = ", ".join(sorted(_WINDOWS))
        raise SettingsError(f"--traces: {directory} holds no windows of clients: a .csv or .csv.gz with the columns {columns}")
    if not outputs and all(client.sizes is None for client in clients):
        raise SettingsError(
            f"--traces: {directory} tells no sizes: a .csv or .csv.gz with the columns {', '.join(sorted(_LOG))}"
        )
    return Traces(clients, tuple(sorted(outputs)), tuple(files))


def _client(name: str, windows: list[Window], sizes: list[tuple[float, float]]) -> Client:
    requests = sum(window.rate_rps for window in windows) * WINDOW_S
    days = max(1.0, (windows[-1].start_s + WINDOW_S) / DAY_S)
    known = None
    if sizes:
        median = sorted(p50 for p50, _ in sizes)[len(sizes) // 2]
        spread = sorted(p95 / p50 for p50, p95 in sizes)[len(sizes) // 2]
        known = Sizes(median, min(3.0, math.log(max(1.0, spread)) / 1.645))  # the 95th percentile of a normal is 1.645 sigma
    return Client(name, tuple(windows), known, round(requests / days))


def _read(
    path: Path, windows: dict[str, list[Window]], sizes: dict[str, list[tuple[float, float]]], outputs: list[int]
) -> Trace:
    """Add a file's rows to what is gathered."""
    rows = bad = 0
    what = "not used: columns of no known trace"
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            text = io.StringIO(file.read(BYTES_MAX).decode("utf-8", "replace"), newline="")
        reader = csv.DictReader(text)
        columns = set(reader.fieldnames or ())
        if columns >= _WINDOWS:
            what = "windows of clients: rates and gaps"
        elif columns >= _SIZES:
            what = "sizes by client"
        elif columns >= _LOG:
            what = "log of requests: sizes"
        else:
            return Trace(path.name, what, 0, 0)
        for row in reader:
            rows += 1
            try:
                if columns >= _WINDOWS:
                    windows.setdefault(row["client"], []).append(_window(row))
                elif columns >= _SIZES:
                    sizes.setdefault(row["client"], []).append((_positive(row["out_p50"]), _positive(row["out_p95"])))
                else:
                    outputs.append(min(TOKENS_MAX, round(_positive(row["output_tokens"]))))
            except (ValueError, TypeError):
                bad += 1
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        return Trace(path.name, f"not read to its end: {error}", rows, bad)
    return Trace(path.name, what, rows, bad)


def _window(row: dict[str, str]) -> Window:
    start = int(float(row["window_start_s"]))
    return Window(start, _positive(row["rate_rps"]), min(CV_MAX, max(CV_MIN, _positive(row["cv"]))), row.get("dist") or "Gamma")


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1e9:
        raise ValueError(text)
    return value


def arrivals(client: Client, rng: Random) -> Iterator[int]:
    """When the client asks, in microseconds from its first request; endless (after its last window comes its first again).

    It begins in a window drawn by its traffic, and time passes between windows as it did, so nights and silences are kept.
    """
    place = _busy_window(client, rng)
    begun_s = client.windows[place].start_s
    first_us: int | None = None
    lap_s = 0
    while True:
        window = client.windows[place]
        now_s = 0.0
        while True:
            now_s += max(GAP_MIN_S, _gap(window, rng))
            if now_s >= WINDOW_S:
                break
            at_us = round((lap_s + window.start_s - begun_s + now_s) * 1e6)
            first_us = at_us if first_us is None else first_us
            yield at_us - first_us
        place += 1
        if place == len(client.windows):
            place = 0
            lap_s += client.windows[-1].start_s + WINDOW_S


def _busy_window(client: Client, rng: Random) -> int:
    totals = []
    total = 0.0
    for window in client.windows:
        total += window.rate_rps
        totals.append(total)
    return min(len(totals) - 1, bisect_left(totals, rng.random() * total))


def _gap(window: Window, rng: Random) -> float:
    """Seconds to the next request: gaps of the window's rate and spread, in the shape that fitted it."""
    mean = 1.0 / window.rate_rps
    if window.dist == "Weibull":
        shape = _weibull_shape(round(window.cv, 2))
        return rng.weibullvariate(mean / math.gamma(1.0 + 1.0 / shape), shape)
    shape = 1.0 / window.cv**2
    return rng.gammavariate(shape, mean / shape)


@lru_cache(4096)
def _weibull_shape(cv: float) -> float:
    """The shape at which a Weibull has this cv: cv^2 + 1 = gamma(1 + 2/shape) / gamma(1 + 1/shape)^2, which falls with it."""
    low, high = 0.1, 30.0
    wanted = math.log(cv * cv + 1.0)
    while high - low > 1e-4:
        shape = (low + high) / 2
        if math.lgamma(1.0 + 2.0 / shape) - 2.0 * math.lgamma(1.0 + 1.0 / shape) > wanted:
            low = shape
        else:
            high = shape
    return low


def metronome(period_s: float, rng: Random, *, wobble: float = 0.1) -> Iterator[int]:
    """A script's loop: one request after another at one pace, less or more a tenth."""
    now_us = 0
    while True:
        yield now_us
        now_us += max(1000, round(period_s * 1e6 * (1.0 + wobble * rng.uniform(-1.0, 1.0))))


def spread_over_day(count: int, rng: Random) -> list[int]:
    """`count` requests of one account at random times of one day."""
    return sorted(round(rng.random() * DAY_S * 1e6) for _ in range(count))
