"""Fit the profiles' weights on a corpus and on the families written for it, and say what they are worth on what was left out.

    .venv/bin/python bench/fit_profiles.py CORPUS_DIR [--outside SITE_PACKAGES] [--windows 8] [--cache FILE] [--write]

CORPUS_DIR holds `*.jsonl.gz`: a conversation a line with `source`, `role_mix`, `messages`, `params`, `group`. Simulated tenants
of 200 requests are looked at after 26 and 200: plain, bare (without sampling parameters), behind ten canned openings, half
thinned out by somebody honest, both, and packed three to a request. Then: fit on all (in sample), and fit without each source
and without each family in turn, tested on what was left out, at a score of 500. `--write` puts the weights fitted on all into
`gateway/detectors/weights.py`. It takes some ten minutes of one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import pickle
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from multiprocessing import Pool
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import outside  # noqa: E402
from families import FAMILIES, Family  # noqa: E402

from gateway.detectors import PHRASES, Lens, Past, Window, look  # noqa: E402
from gateway.detectors.weights import Profile  # noqa: E402
from gateway.evaluation.fit_profiles import Example, example, fit  # noqa: E402
from gateway.policy.read_phrases import read_phrases  # noqa: E402
from gateway.values import Ask  # noqa: E402

REQUESTS, CUTS = 200, (26, 200)
KINDS = ("plain", "bare", "canned", "half", "canned half", "packed")
PROFILE_OF = {
    "selfinstruct_gen": "generator",
    "evol_instruct_gen": "generator",
    "gpteacher_roleplay": "collector",
    "gsm8k_zeroshot_cot": "harvest",
}
SAME = {"o_evol_instruct": "evol_instruct_gen"}
"""Families by other names."""
CANNED = (
    "Hi there! I hope you're having a great day.",
    "Hello, I have a quick question for you, thanks in advance.",
    "Hey, can you help me with something please?",
    "Good morning! I was wondering about this for my work.",
    "Thanks for your help earlier, here is another one.",
    "I'm working on a small project and need a hand.",
    "Please help me with the following, I appreciate it.",
    "Hi, I'm a bit stuck with this one.",
    "My teacher asked us to look into this.",
    "Okay, next one for you, my friend.",
)
Body = dict[str, Any]
Row = tuple[str, str, str, int, Example]
"""source, its origin, kind, requests, example."""
ORIGINS = ("corpus", "written", "outside")


def family_of(source: str) -> str:
    """Sources of one making are one family."""
    name = source.split("_", 1)[1]
    if name.startswith("p3_"):
        return "p3"
    return "intents" if name in ("banking77_classify", "clinc150_voice", "bitext_support") else name


def requests_of(record: Body) -> list[Body]:
    """A conversation's requests: one for each answer."""
    messages, params = record["messages"], record.get("params") or {}
    ends = [
        at
        for at, message in enumerate(messages)
        if message["role"] == "user" and (at + 1 == len(messages) or messages[at + 1]["role"] != "user")
    ]
    return [{"messages": messages[: at + 1], **params} for at in ends[:6]]


def corpus_tenant(records: list[Body], rng: random.Random, count: int) -> list[Body]:
    """A tenant of one source, and six times in ten of one of its groups."""
    groups = sorted({record.get("group") or "" for record in records})
    if len(groups) > 1 and (rng.random() < 0.6 or "p3" in records[0]["source"]):
        for _ in range(5):
            chosen = rng.choice(groups)
            own = [record for record in records if (record.get("group") or "") == chosen]
            if len(own) >= 40:
                records = own
                break
    made: list[Body] = []
    while len(made) < count:
        made += requests_of(rng.choice(records))
    return made[:count]


def canned(body: Body, rng: random.Random) -> Body:
    messages = [dict(message) for message in body["messages"]]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    messages[last]["content"] = f"{rng.choice(CANNED)}\n\n{messages[last]['content']}"
    return {**body, "messages": messages}


def packed(bodies: list[Body]) -> list[Body]:
    made = []
    for at in range(0, len(bodies) - 2, 3):
        text = "\n\n".join(
            f"{number + 1}. {body['messages'][-1]['content']}" for number, body in enumerate(bodies[at : at + 3])
        )
        made.append({**bodies[at], "messages": [*bodies[at]["messages"][:-1], {"role": "user", "content": text}]})
    return made


def ask_of(body: Body) -> Ask:
    size = sum(len(message.get("content") or "") for message in body["messages"]) + 64
    return Ask("openai.chat", "m", body, size, 0, body.get("max_tokens"), body.get("n", 1), False, False, "")


def windows(bodies: list[Body], lens: Lens, rng: random.Random) -> Iterable[tuple[int, Window]]:
    past, window, at = Past(), Window(), 1
    for number, body in enumerate(bodies, 1):
        at += int(rng.expovariate(1 / 5e6))
        window.add(look(ask_of(body), past, lens, at), at, 0)
        if number in CUTS or number == len(bodies):
            yield (number if number in CUTS else CUTS[-1]), Window.load(window.dump())


class Builder:
    """All sources and families, in one process."""

    def __init__(self, corpus: Path, site: Path | None, count: int) -> None:
        self.count = count
        self.lens = Lens.of(b"fitting", read_phrases(PHRASES))
        self.sources: dict[str, list[Body]] = {}
        for path in sorted(corpus.glob("*.jsonl.gz")):
            lines = gzip.decompress(path.read_bytes()).decode().split("\n")
            self.sources[path.name.removesuffix(".jsonl.gz")] = [json.loads(line) for line in lines if line]
        self.families: dict[str, Family] = {family.name: family for family in FAMILIES}
        if site is not None:
            self.families |= {family.name: family for family in outside.load(corpus, site)}
        self.honest = (
            [name for name in self.sources if name.startswith("benign")],
            [name for name, family in self.families.items() if not family.profile],
        )

    def draw(self, name: str, rng: random.Random, number: int) -> list[Body]:
        if name in self.sources:
            return corpus_tenant(self.sources[name], rng, number)
        make = self.families[name].tenant(rng)
        return [make() for _ in range(number)]

    def rows(self, name: str) -> list[Row]:
        """Every tenant of one source or family."""
        rows: list[Row] = []
        is_corpus = name in self.sources
        family = family_of(name) if is_corpus else SAME.get(name, name)
        profile = PROFILE_OF.get(family, "") if is_corpus else self.families[name].profile
        origin = "corpus" if is_corpus else "outside" if name.startswith("o_") else "written"
        for kind in KINDS if profile else KINDS[:2]:
            for number in range(self.count * (2 if is_corpus and not profile and kind == "plain" else 1)):
                rng = random.Random(f"{name}/{kind}/{number}")
                bodies = self.draw(name, rng, REQUESTS * 3 if kind == "packed" else REQUESTS)
                if kind == "bare":
                    bodies = [{key: body[key] for key in ("messages", "tools") if key in body} for body in bodies]
                if kind.startswith("canned"):
                    bodies = [canned(body, rng) for body in bodies]
                if kind.endswith("half"):
                    others = self.draw(rng.choice(self.honest[rng.random() >= 0.7]), rng, REQUESTS)
                    bodies = [other if rng.random() < 0.5 else own for own, other in zip(bodies, others)]
                if kind == "packed":
                    bodies = packed(bodies)
                for cut, window in windows(bodies, self.lens, rng):
                    rows.append((name, origin, kind, cut, example(window, family, profile)))
        return rows


_builder: Builder | None = None


def _enter(*arguments: Any) -> None:
    global _builder  # a worker finds its sources through it
    _builder = Builder(*arguments)


def _rows(name: str) -> list[Row]:
    assert _builder is not None
    return _builder.rows(name)


def build(corpus: Path, site: Path | None, count: int, processes: int) -> list[Row]:
    """Every tenant of every source and family, as rows."""
    found = Builder(corpus, site, 0)
    rows: list[Row] = []
    with Pool(processes, _enter, (corpus, site, count)) as pool:
        for each in pool.imap(_rows, [*found.sources, *found.families]):
            rows += each
            print(f"  {each[0][0]}: {len(rows)} windows", file=sys.stderr)
    return rows


def score(each: Example, profiles: tuple[Profile, ...]) -> int:
    """The largest score, from measures instead of a window."""
    best = 0
    for profile in profiles:
        if (found := each.streams.get(profile.stream)) is not None:
            total = profile.bias + sum(term.weight * (found.get(term.name, 0) - term.usual) / 1000 for term in profile.terms)
            best = max(best, int(1000 / (1 + 2.718281828 ** -max(-30.0, min(30.0, total)))))
    return best


def fitted_on(rows: Iterable[Row]) -> list[Example]:
    """Not the honest ones that are an attack's double: only an agreement tells them apart."""
    return [row[4] for row in rows if not outside.is_double(row[0])]


def left_out(rows: list[Row], unit: Callable[[Row], str]) -> list[tuple[Row, int]]:
    """Every row with its score by profiles that were fitted without its unit."""
    scored = []
    for name in sorted({unit(row) for row in rows}):
        profiles = fit(fitted_on(row for row in rows if unit(row) != name))
        scored += [(row, score(row[4], profiles)) for row in rows if unit(row) == name]
    return scored


def table(title: str, scored: list[tuple[Row, int]], *, detail: bool = False) -> None:
    """Shares at a score of 500: every source weighs the same."""
    print(f"\n{title}")
    for origin in ORIGINS:
        for cut in CUTS:
            cells = []
            for kind in (*KINDS, "honest", "doubles"):
                by_source: dict[str, list[bool]] = defaultdict(list)
                for (source, where, how, requests, each), points in scored:
                    column = how if each.profile else "doubles" if outside.is_double(source) else "honest"
                    if (where, requests, column) == (origin, cut, kind):
                        by_source[source].append(points >= 500)
                cells.append(
                    f"{kind} {statistics.mean(map(statistics.mean, by_source.values())):.3f}" if by_source else f"{kind} -"
                )
            print(f"  {origin:8} {cut:4}  " + "  ".join(cells))
    if detail:
        found: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for (source, _, how, requests, each), points in scored:
            if requests == CUTS[-1]:
                found[source if each.profile else f"honest: {source}", how].append(points >= 500)
        for (source, how), hits in sorted(found.items()):
            share = statistics.mean(hits)
            if share < 0.85 if not source.startswith("honest") else share > 0:
                print(f"    {source}, {how}: {share:.2f} of {len(hits)}")


def write(profiles: tuple[Profile, ...]) -> None:
    """Put a fitted table where the gateway reads it."""
    path = ROOT / "gateway/detectors/weights.py"
    lines = ["PROFILES = ("]
    for profile in profiles:
        lines.append(f'    Profile("{profile.name}", "{profile.stream}", {profile.bias}, (')
        lines += [f'        Term("{term.name}", {term.weight}, {term.usual}),' for term in profile.terms]
        lines.append("    )),")
    lines.append(")  # fmt: skip")
    text = path.read_text()
    path.write_text(re.sub(r"(?ms)^PROFILES = \($.*?^\)  # fmt: skip$", lambda _: "\n".join(lines), text))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--outside", type=Path, metavar="SITE_PACKAGES", help="fit on `outside` too")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    begin = time.process_time()
    if chosen.cache and chosen.cache.exists():
        rows = pickle.loads(chosen.cache.read_bytes())
    else:
        rows = build(chosen.corpus, chosen.outside, chosen.windows, chosen.processes)
        if chosen.cache:
            chosen.cache.write_bytes(pickle.dumps(rows))
    profiles = fit(fitted_on(rows))
    for profile in profiles:
        print(profile.name, profile.bias, {term.name: (term.weight, term.usual) for term in profile.terms})
    table("in sample", [(row, score(row[4], profiles)) for row in rows])
    table("a source left out", left_out(rows, lambda row: row[0]))
    table("a family left out", left_out(rows, lambda row: row[4].family), detail=True)
    if chosen.write:
        write(profiles)
    print(f"{time.process_time() - begin:.0f} s of CPU")


if __name__ == "__main__":
    main()
