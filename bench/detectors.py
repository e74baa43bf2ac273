"""What a look costs: CPU of `look` and of `Window.add` at 0.3 to 100 KB, beside a loop that tells how fast the machine is.

    .venv/bin/python bench/detectors.py

CPU time, medians of rounds; prompts are this project's own documentation, so each is text as it is written.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import orjson  # noqa: E402

from gateway.detectors import PHRASES, Lens, Past, Window, judge, look  # noqa: E402
from gateway.policy.read_phrases import read_phrases  # noqa: E402
from gateway.values import Ask  # noqa: E402

ROUNDS = 15
REQUESTS = 300


def reference() -> float:
    """Microseconds of CPU of a loop that is always the same."""
    begin = time.process_time()
    total = 0
    for at in range(20_000):
        total += at * at % 7
    return (time.process_time() - begin) * 1e6


def asks(size: int, rng: random.Random) -> list[Ask]:
    """One tenant's requests: a template around a part of the documentation, at another place each time."""
    text = " ".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))) * 3
    made = []
    for _ in range(REQUESTS):
        at = rng.randrange(len(text) - size)
        content = f"Summarise the section in two sentences.\n\nSection: {text[at : at + size - 60]}"
        body = {"model": "m", "messages": [{"role": "user", "content": content}], "temperature": 0}
        made.append(Ask("openai.chat", "m", body, len(orjson.dumps(body)), 0, None, 1, False, False, ""))
    return made


def main() -> None:
    lens = Lens.of(b"bench", read_phrases(PHRASES))
    print(f"{'prompt':>8} {'look':>8} {'p90':>8} {'add':>8}   (us of CPU; reference loop of 20,000 steps)")
    for size in (300, 1_000, 10_000, 100_000):
        rng = random.Random(size)
        made = asks(size, rng)
        looks, adds, references = [], [], []
        for _ in range(ROUNDS):
            references.append(reference())
            past, window = Past(), Window()
            begin = time.process_time()
            seen = [look(ask, past, lens, 0) for ask in made]
            looks.append((time.process_time() - begin) / REQUESTS * 1e6)
            begin = time.process_time()
            for at, sighting in enumerate(seen):
                window.add(sighting, at, 100)
            adds.append((time.process_time() - begin) / REQUESTS * 1e6)
        p90 = sorted(looks)[int(0.9 * ROUNDS)]
        middle = [statistics.median(each) for each in (looks, adds, references)]
        print(f"{size:>8} {middle[0]:>8.1f} {p90:>8.1f} {middle[1]:>8.1f}   {middle[2]:.0f}")
    begin = time.process_time()
    for _ in range(200):
        judge(window, frozenset())
    print(f"judge: {(time.process_time() - begin) / 200 * 1e6:.0f} us; dump: {len(window.dump())} bytes")


if __name__ == "__main__":
    main()
