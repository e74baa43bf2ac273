"""How well a watermark is found, on a real vocabulary and simulated sampling: `python bench/watermark.py --corpus PATH ...`.

No model server is needed, and none is measured: n-grams of one half of a corpus stand in for a language model, and are sampled
at temperature 1 with the bias on their logits. There are two, because a mark needs room to choose: `free` (a story's first
draft) and `tight` (an assistant that nearly knows its answer). Every marked text is decoded and tokenized anew before it is
judged. The corpus's other half is the human text. Tables in Markdown on stdout, progress on stderr; needs gauger[watermark].
"""

import argparse
import gzip
import json
import math
import random
import re
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import splintr
from ngrams import Ngrams

from gateway.output.watermark import green
from gateway.output.watermark_detect import holm, judge, tail

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "school_maths.jsonl"
LENGTHS = (50, 100, 200, 400, 800)
ALPHA = 0.001
MODELS = {"free": (0.3, 0.7), "tight": (0.02, 0.08, 0.9)}
"""Weights of unigrams, bigrams, trigrams."""
REPLACED = 0.3
TENANTS = 20
CORPUS_CHARS_MAX = 4_000_000
WAYS = {"each once": lambda count: 1.0, "by the root of its count": math.sqrt, "as often as it comes": float}
"""How much a token weighs that comes so often."""


class Config(NamedTuple):
    vocabulary: int
    share_milli: int
    bias: int

    def __str__(self):
        entries = len(greens(0, self.vocabulary, self.share_milli))
        return f"{self.vocabulary} x {self.share_milli / 1000:g} ({entries} entries), bias {self.bias}"


MAIN = Config(8192, 250, 2)
CONFIGS = (
    *(Config(8192, share, bias) for share in (250, 500) for bias in (1, 2, 4)),
    Config(4096, 250, 2),
    Config(4096, 250, 4),
    Config(2880, 250, 2),
    Config(2880, 250, 4),
)


class World:
    """What all measurements share: the tokenizer, both halves of the corpus, and chance."""

    def __init__(self, args):
        self.rng = random.Random(args.seed)
        self.tokenizer = splintr.Tokenizer.from_pretrained(args.tokenizer)
        texts = read(args.corpus)
        self.rng.shuffle(texts)
        halves = (texts[::2], texts[1::2])
        self.learned, self.human = ([token for text in half for token in self.tokens(text + "\n")] for half in halves)
        self.words = re.findall(r"\w+", "\n".join(texts[::2]))
        self.kinds = sorted(set(self.words))
        self.texts = args.texts

    def tokens(self, text):
        return self.tokenizer.encode_ordinary(text)

    def window(self, length):
        at = self.rng.randrange(max(1, len(self.human) - length))
        return self.human[at : at + length]

    def sample(self, draw, length):
        at = self.rng.randrange(len(self.learned) - 2)
        text = self.learned[at : at + 2]
        while len(text) < length + 2:
            text.append(draw(text))
        return text[2:]

    def replaced(self, text, words):
        """The text with a share of its words replaced by others."""
        return re.sub(r"\w+", lambda found: self.rng.choice(words) if self.rng.random() < REPLACED else found[0], text)


def read(paths):
    """The corpus's different texts: JSON objects, one a line, with `text`, or with `messages` of which the user's are taken."""
    files = [file for path in paths for file in (sorted(path.glob("*.jsonl*")) if path.is_dir() else [path])]
    texts = {}
    for file in files:
        chars = 0
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                record = json.loads(line)
                said = [m["content"] for m in record.get("messages", ()) if m["role"] == "user"]
                for text in [record["text"]] if "text" in record else said:
                    chars += 0 if text in texts else len(text)
                    texts[text] = None
                if chars > CORPUS_CHARS_MAX / len(files):
                    break
    return list(texts)


@cache
def greens(number, vocabulary, share_milli):
    """The list of one of the bench's keys."""
    return frozenset(green(b"bench" + number.to_bytes(27, "big"), vocabulary, share_milli))


@cache
def needed(drawn, size, vocabulary, alpha):
    """The fewest green ones of so many that are significant."""
    return bisect_left(range(drawn + 1), True, key=lambda hits: tail(hits, drawn=drawn, green=size, of=vocabulary) <= alpha)


def weighed(tokens, green_ids, vocabulary):
    """z of a text in each of the WAYS, with the variance that a random list gives such weights."""
    counts, share = Counter(token for token in tokens if token < vocabulary), len(green_ids) / vocabulary
    found = {}
    for name, weigh in WAYS.items():
        weights = {token: weigh(count) for token, count in counts.items()}
        total, squares = sum(weights.values()), sum(weight * weight for weight in weights.values())
        variance = share * (1 - share) * (squares - total * total / vocabulary) * vocabulary / (vocabulary - 1)
        found[name] = (sum(weights[token] for token in weights.keys() & green_ids) - share * total) / math.sqrt(variance)
    return found


def percent(part, whole):
    return f"{100 * part / whole:.3g}%"


def table(title, head, rows):
    print(f"\n{title}\n\n| " + " | ".join(map(str, head)) + " |\n|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(f"{title}: {time.process_time():.0f} s of CPU so far", file=sys.stderr)


def false_positives(world, keys=300, windows=100):
    """Human text under keys that had no part in it; beside it, every token counted by the textbook's normal distribution."""
    vocabulary, share_milli, _ = MAIN
    size = len(greens(0, vocabulary, share_milli))
    rows = []
    for length in LENGTHS:
        texts = [[token for token in world.window(length) if token < vocabulary] for _ in range(windows)]
        sets = [set(text) for text in texts]
        every, of_key = Counter(), {0.01: Counter(), 0.001: Counter()}
        for number in range(keys):
            list_ = greens(number, vocabulary, share_milli)
            for text, seen in zip(texts, sets):
                found, p_value = (
                    len(seen & list_),
                    textbook(sum(token in list_ for token in text), len(text), size / vocabulary),
                )
                for alpha, of in of_key.items():
                    of[number] += found >= needed(len(seen), size, vocabulary, alpha)
                    every[alpha] += p_value <= alpha
        cells = []
        for of in of_key.values():
            cells += [percent(of.total(), keys * windows), percent(max(of.values()), windows)]
        cells += [percent(every[alpha], keys * windows) for alpha in of_key]
        rows.append([length, round(sum(map(len, sets)) / windows), *cells])
    head = [
        "tokens",
        "scored",
        "alpha 0.01",
        "worst key",
        "alpha 0.001",
        "worst key",
        "every token, 0.01",
        "every token, 0.001",
    ]
    table(f"False positives on human text, {vocabulary} x {share_milli / 1000:g}, {keys} keys x {windows} texts", head, rows)


def textbook(hits, drawn, share):
    """The one-sided p-value if all of a text's tokens were independent."""
    return math.erfc((hits - share * drawn) / math.sqrt(2 * share * (1 - share) * max(drawn, 1))) / 2


def power(world, name, model, samplers):
    """How many marked texts are found, whole and with words replaced, and what the mark costs."""
    whole_rows, replaced_rows = [], []
    plain = samplers(1.0, frozenset())
    bits = [model.bits(world.sample(plain, max(LENGTHS))) for _ in range(world.texts)]
    base = sum(bits) / len(bits)
    for config in CONFIGS:
        found, spent = Counter(), 0.0
        for number in range(world.texts):
            list_ = greens(number % TENANTS, config.vocabulary, config.share_milli)
            sampled = world.sample(samplers(math.exp(config.bias), list_), max(LENGTHS))
            spent += model.bits(sampled)
            for length in LENGTHS:
                text = world.tokenizer.decode_lossy(sampled[:length])
                texts = {"whole": text, "any": world.replaced(text, world.kinds), "usual": world.replaced(text, world.words)}
                for kind, tried in texts.items():
                    found[kind, length] += judge(world.tokens(tried), list_, config.vocabulary).p_value <= ALPHA
        ratio = f"{2 ** (spent / world.texts - base):.2f}"
        whole_rows.append([config, *(percent(found["whole", length], world.texts) for length in LENGTHS), ratio])
        cells = [" / ".join(percent(found[kind, length], world.texts) for kind in ("any", "usual")) for length in LENGTHS]
        replaced_rows.append([config, *cells])
    table(f"Found at alpha {ALPHA}, `{name}` ({base:.1f} bits a token)", ["", *LENGTHS, "perplexity x"], whole_rows)
    table(f"The same after {REPLACED:.0%} of the words became any others / usual others", ["", *LENGTHS], replaced_rows)


def attribution(world, samplers):
    """Every text against every tenant's key: who is named."""
    vocabulary, share_milli, bias = MAIN
    lists = [greens(number, vocabulary, share_milli) for number in range(TENANTS)]
    rows = []
    for length in LENGTHS:
        found = Counter()
        for number in range(world.texts):
            owner = number % TENANTS
            marked = world.tokenizer.decode_lossy(world.sample(samplers(math.exp(bias), lists[owner]), length))
            for kind, tokens in (("marked", world.tokens(marked)), ("human", world.window(length))):
                adjusted = holm([judge(tokens, list_, vocabulary).p_value for list_ in lists])
                named = {tenant for tenant, p_value in enumerate(adjusted) if p_value <= ALPHA}
                found["owner"] += kind == "marked" and owner in named
                found[kind] += bool(named - {owner} if kind == "marked" else named)
        rows.append([length, *(percent(found[kind], world.texts) for kind in ("owner", "marked", "human"))])
    title = f"Who is named among {TENANTS} tenants, alpha {ALPHA} after Holm, `tight`, {MAIN}"
    table(title, ["tokens", "its own tenant", "another", "any, of a human text"], rows)


def ways_of_counting(world, samplers, length=200, keys=100, windows=200):
    """Each way's own threshold gives one false positive in a thousand; what is found above it."""
    vocabulary, share_milli, _ = MAIN
    chance = defaultdict(list)
    for _ in range(windows):
        text = world.window(length)
        for number in range(keys):
            for name, z in weighed(text, greens(number, vocabulary, share_milli), vocabulary).items():
                chance[name].append(z)
    least = {name: sorted(zs)[-math.ceil(len(zs) * ALPHA)] for name, zs in chance.items()}
    found = Counter()
    for bias in (1, 2):
        for number in range(2 * world.texts):
            list_ = greens(number % TENANTS, vocabulary, share_milli)
            text = world.tokenizer.decode_lossy(world.sample(samplers(math.exp(bias), list_), length))
            for name, z in weighed(world.tokens(text), list_, vocabulary).items():
                found[name, bias] += z > least[name]
    rows = [[name, f"{least[name]:.2f}", *(percent(found[name, bias], 2 * world.texts) for bias in (1, 2))] for name in WAYS]
    title = f"Ways of counting at equal false positives (0.1%), `tight`, {length} tokens, {vocabulary} x {share_milli / 1000:g}"
    table(title, ["", "threshold of z", "bias 1", "bias 2"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    corpus = parser.add_argument("--corpus", metavar="PATH", nargs="+", type=Path, default=[SAMPLE])
    corpus.help = "files of JSON lines (.gz), or directories of them (default: the tests' small sample)"
    parser.add_argument("--tokenizer", metavar="NAME", default="o200k_base", help="a vocabulary that splintr-rs carries")
    parser.add_argument("--texts", metavar="COUNT", type=int, default=100, help="marked texts for each cell")
    parser.add_argument("--seed", metavar="NUMBER", type=int, default=1)
    world = World(parser.parse_args())
    below = ", ".join(f"{percent(sum(t < v for t in world.human), len(world.human))} below {v}" for v in (2880, 4096, 8192))
    print(f"{len(world.learned):,} tokens learned, {len(world.human):,} of human text; of those {below}.")
    false_positives(world)
    for name, weights in MODELS.items():
        model = Ngrams(world.learned, weights)
        samplers = cache(lambda factor, list_, model=model: model.sampler(factor, list_, world.rng))
        power(world, name, model, samplers)
    attribution(world, samplers)
    ways_of_counting(world, samplers)


if __name__ == "__main__":
    main()
