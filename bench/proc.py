"""What Linux tells of processes: families, CPU, memory. No state."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and all its descendants, parents first."""
    found = [pid]
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += family(int(child))
    return found


def name(pid: int) -> str:
    """The program's file name; "" when the process is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def cpu_us(pids: Iterable[int]) -> float:
    """CPU microseconds of all threads of these processes, to the nanosecond of the scheduler's own account."""
    total_ns = 0
    for pid in pids:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with suppress(OSError):
                    total_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total_ns / 1000


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident memory, shared pages counted once a process."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return total


def busy_us() -> float:
    """CPU microseconds that all cores together have not been idle, since the start."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND * 1e6


def pin(pids: Iterable[int], core: int) -> None:
    """Bind all threads of these processes to one core."""
    for pid in pids:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), {core})


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal processes, as long as they are there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def arguments(pid: int) -> list[str]:
    """What a process was started with; [] where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
