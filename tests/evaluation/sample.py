"""Writes the sample corpus and traces in tests/data/evaluation: all of it made up here, small, and the same again each time.

Run as `python -m tests.evaluation.sample` after a change. The texts are no measure of anything: they are there so that every
part of `gauger evaluate` has something to work on within seconds.
"""

import json
from pathlib import Path
from random import Random

HERE = Path(__file__).parent.parent / "data" / "evaluation"
RECORDS = 60

THINGS = [
    "kettle",
    "ladder",
    "garden",
    "bicycle",
    "violin",
    "lantern",
    "harbour",
    "bakery",
    "compass",
    "orchard",
    "telescope",
    "carpet",
]
PLACES = [
    "in the attic",
    "by the river",
    "at my sister's place",
    "near the old mill",
    "on the balcony",
    "at work",
    "in the village",
]
TROUBLES = ["squeaks all night", "has a cracked handle", "came in the wrong colour", "won't fold any more", "is two weeks late"]
TOPICS = [
    "soil chemistry",
    "river trade",
    "bird migration",
    "glass making",
    "tax forms",
    "bridge design",
    "sleep",
    "map reading",
    "bread",
]
VERBS = ["Explain", "Compare", "List", "Summarise", "Design", "Describe", "Outline", "Argue for"]
SHAPES = ["a short essay", "a table", "five steps", "a dialogue", "a letter to a friend", "a checklist", "a riddle"]
NAMES = ["Ada", "Bela", "Chidi", "Dora", "Emre", "Farah", "Goran", "Hana"]
DISHES = ["soup", "stew", "salad", "pie", "curry", "pudding", "bread", "broth"]
FEELINGS = ["tired", "glad", "worried", "curious", "fed", "up", "proud", "hungry", "restless"]


def user(text):
    return {"role": "user", "content": text}


def farm_tasks(rng, n):
    seeds = [f"{rng.choice(VERBS)} {rng.choice(TOPICS)} as {rng.choice(SHAPES)}." for _ in range(3)]
    listed = "\n".join(f"{place}. {seed}" for place, seed in enumerate(seeds, 1))
    text = (
        "You are asked to come up with a set of 10 diverse task instructions for training a language model.\n"
        "Do not repeat the verb, and vary the form of the tasks.\n\n"
        f"Here are some examples:\n{listed}\n4."
    )
    return [user(text)], {"max_tokens": 1024, "temperature": 1.0}


def drill_sums(rng, n):
    a, b, c = rng.randint(3, 90), rng.randint(2, 40), rng.randint(2, 9)
    text = (
        f"Q: {rng.choice(NAMES)} has {a} {rng.choice(THINGS)}s and gives {b} of them to each of {c} friends after buying "
        f"{a * c} more {rng.choice(PLACES)}. How many are left, number {n}?\nA: Let's think step by step."
    )
    return [user(text)], {"n": 4, "temperature": 0.7}


def diary_chat(rng, n):
    name, feeling = rng.choice(NAMES), rng.choice(FEELINGS)
    said = [
        f"hey, i'm so {feeling} today, {name} left the {rng.choice(THINGS)} {rng.choice(PLACES)} again",
        f"yeah i know... what would you do? my {rng.choice(THINGS)} {rng.choice(TROUBLES)} too, day {n}",
        "ok thanks, i'll try that tomorrow",
    ]
    messages = []
    for place, text in enumerate(said[: rng.randint(1, 3)]):
        messages += [user(text), {"role": "assistant", "content": f"That sounds annoying. Maybe ask them about it? ({place})"}]
    return messages, None


def shop_support(rng, n):
    system = {"role": "system", "content": "You answer customers of a shop for household goods. Be brief and kind."}
    order = f"order {10_000 + 37 * n}"
    text = (
        f"My {rng.choice(THINGS)} from {order} {rng.choice(TROUBLES)}. I want my money back, please. It's {rng.choice(PLACES)}."
    )
    return [system, user(text)], {"max_tokens": 200}


def dish_classify(rng, n):
    system = {"role": "system", "content": f"Answer with one word of this list and nothing else: {', '.join(DISHES)}."}
    text = (
        f"{rng.choice(NAMES)}'s {rng.choice(DISHES)} with {rng.choice(THINGS)}-shaped pasta, recipe {n}, {rng.choice(PLACES)}"
    )
    return [system, user(text)], {"max_tokens": 8, "temperature": 0}


def exam_eval(rng, n):
    topic = rng.choice(TOPICS)
    options = "\n".join(f"({letter}) {rng.choice(THINGS)} {rng.choice(PLACES)}" for letter in "ABCD")
    asked = f"Q: Which belongs to {topic}, item {n}?\n{options}\nA:"
    text = f"The following is a question about {topic}. Answer with a letter.\n\n{asked}"
    return [user(text)], {"max_tokens": 4, "temperature": 0}


SOURCES = {
    "attack_farm_tasks": farm_tasks,
    "attack_drill_sums": drill_sums,
    "benign_diary_chat": diary_chat,
    "benign_shop_support": shop_support,
    "benign_dish_classify": dish_classify,
    "benign_exam_eval": exam_eval,
}


def corpus():
    """File name and text of each source."""
    for name, make in SOURCES.items():
        rng = Random(name)
        lines = []
        for n in range(RECORDS):
            messages, params = make(rng, n)
            record = {"source": name, "role_mix": name.partition("_")[0], "messages": messages}
            lines.append(json.dumps(record | ({"params": params} if params else {})))
        yield f"{name}.jsonl", "\n".join(lines) + "\n"


def traces():
    """Four clients, from busy to slow, and a log of requests."""
    rng = Random("traces")
    rows = ["client,window_start_s,rate_rps,cv,dist"]
    for client, rate in enumerate((0.5, 0.1, 0.02, 0.004)):
        for start in range(0, 86_400, 3600):
            dist = ("Gamma", "Weibull")[client % 2]
            rows.append(f"sample/{client},{start},{rate * rng.uniform(0.5, 2):.4f},{rng.uniform(0.7, 3):.2f},{dist}")
    yield "clients.csv", "\n".join(rows) + "\n"
    log = [f"{n * 0.7:.1f},{rng.randint(20, 2000)},{int(rng.lognormvariate(5, 1)) + 1}" for n in range(200)]
    yield "log.csv", "\n".join(("timestamp_s,input_tokens,output_tokens", *log)) + "\n"


def write():
    for directory, files in (("corpus", corpus()), ("traces", traces())):
        (HERE / directory).mkdir(parents=True, exist_ok=True)
        for name, text in files:
            (HERE / directory / name).write_text(text)


if __name__ == "__main__":
    write()
