"""What templates are filled with: real text of the corpus, and data that the packages carry, by kind.

`<math.question>` in a template's glue is a field of an item of a kind; `<seed2.text>` is of a second item, `<doc!.text>` of an
item that one tenant keeps for all its requests. One request draws one item of each kind: a question stands with its passage.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from package_templates import Missing, root

Item = dict[str, str]
MARK = re.compile(r"<([a-z_]+)(\d*)(!?)\.([a-z_]+)>")
CHARACTERS_MAX = 6_000
"""Of one slot: what chunkers cut documents to, about."""


class Kinds:
    """Every kind of text, each read when it is first asked for."""

    def __init__(self, corpus: Path, packages: Path) -> None:
        self._corpus = corpus
        self._packages = packages
        self._kept: dict[str, list[Item]] = {}

    def __getitem__(self, kind: str) -> list[Item]:
        if kind not in self._kept:
            make: Callable[[], Iterator[Item]] | None = getattr(self, f"_{kind}", None)
            if make is None:
                raise Missing(f"no kind of text is called {kind!r}")
            unique = {json.dumps(item): item for item in make() if all(item.values())}
            self._kept[kind] = list(unique.values())
            if not unique:
                raise Missing(f"nothing of the kind {kind!r} in {self._corpus}")
        return self._kept[kind]

    def _records(self, source: str) -> Iterator[dict]:
        path = self._corpus / f"{source}.jsonl.gz"
        if not path.is_file():
            raise Missing(f"--corpus: {self._corpus} has no {path.name}")
        for line in gzip.decompress(path.read_bytes()).split(b"\n"):
            if line:
                yield json.loads(line)

    def _said(self, source: str) -> Iterator[str]:
        for record in self._records(source):
            yield record["messages"][0 if record["messages"][0]["role"] == "user" else 1]["content"]

    def _data(self, package: str, path: str) -> str:
        return (root(self._packages, package) / path).read_text("utf-8")

    def _math(self) -> Iterator[Item]:
        for text in self._said("attack_gsm8k_zeroshot_cot"):
            yield {"question": text.removeprefix("Q: ").partition("\nA:")[0]}

    def _seed(self) -> Iterator[Item]:
        """Tasks written by people, with input and output."""
        task = re.compile(r"\d+\. Instruction: (.*?)\n\d+\. Input:\n(.*?)\n\d+\. Output:\n(.*?)\n###", re.S)
        for number, text in enumerate(self._said("attack_selfinstruct_gen")):
            if number == 800:  # three of 175 tasks a prompt: all were met long before
                return
            for instruction, given, output in task.findall(text):
                whole = instruction if given == "<noinput>" else f"{instruction}\n{given}"
                yield {"instruction": instruction, "text": whole, "output": output[:CHARACTERS_MAX]}

    def _task(self) -> Iterator[Item]:
        """What people really ask models for."""
        for text in self._said("benign_arena_hard_user"):
            if len(text) < 2_000:
                yield {"text": text}
        for line in self._data("inspect-evals", "inspect_evals/writingbench/benchmark_all.jsonl").split("\n"):
            if line and len(text := json.loads(line)["query"]) < 2_000 and text.isascii():
                yield {"text": text}

    def _worked(self) -> Iterator[Item]:
        """A question with somebody's reasoning to its answer."""
        pair = re.compile(r"Q: (.*?)\nA: (Let's think step by step\..*?)(?=\n\n|$)", re.S)
        for text in self._said("benign_cot_eval_harness"):
            for question, trace in pair.findall(text)[:5]:
                if len(question) < 1_500 and len(trace) > 80:  # the last of a prompt is not answered
                    yield {"question": question, "trace": trace}

    def _exam(self) -> Iterator[Item]:
        """Multiple choice, with its subject."""
        asked = re.compile(r"(?:Q: )?([^\n]+)\n(\(A\) [^\n]+?)\s*\nA: Let's think step by step\.$")
        for record in self._records("benign_cot_eval_harness"):
            if found := asked.match(record["messages"][0]["content"].rpartition("\n\n")[2]):
                choices = re.sub(r"\s*\(([A-J])\) ", r"\n\1) ", found[2]).strip()
                yield {"question": found[1], "choices": choices, "subject": record["group"].replace("_", " ")}

    def _passage(self) -> Iterator[Item]:
        shape = re.compile(r'Question: "(.*?)"\n\nContext: "(.*)"\n\nAnswer:', re.S)
        for text in self._said("benign_p3_rag_qa"):
            if found := shape.match(text):
                yield {"question": found[1], "text": found[2]}

    def _article(self) -> Iterator[Item]:
        for record in self._records("benign_p3_cnn_summarise"):
            if record["group"].endswith("2_or_3_sentences"):
                text = record["messages"][0]["content"].partition("Article: ")[2]
                yield {"text": text[:CHARACTERS_MAX], "first": text.partition(". ")[0]}

    def _doc(self) -> Iterator[Item]:
        """A chunk of a document: a passage, an article, or an encyclopedia's beginning of one."""
        for item in (*self["passage"], *self["article"]):
            yield {"text": item["text"][:3_000], "title": " ".join(item["text"].split()[:6])}
        yield from self["entry"]

    def _entry(self) -> Iterator[Item]:
        """An encyclopedia's first sentences of something."""
        shape = re.compile(r"^([^\n]{3,60}?) - +(.{80,}?)(?: Given a (?:list|choice)|$)", re.S)
        for text in self._said("benign_p3_dbpedia_classify"):
            if (found := shape.match(text)) and "educational institution" not in found[0]:
                yield {"title": found[1].strip(), "text": found[2]}

    def _topic(self) -> Iterator[Item]:
        for item in self["entry"]:
            yield {"name": item["title"]}

    def _role(self) -> Iterator[Item]:
        """Who a model is told to be, in people's own prompts."""
        for text in self._said("benign_awesome_prompts"):
            if found := re.search(r"\b(?:[Aa]ct as|[Yy]ou are|[Ii]magine you are) (?:an? )?([A-Za-z -]{5,40}?)[.,\n]", text):
                yield {"name": found[1], "text": text[:1_500]}

    def _code(self) -> Iterator[Item]:
        for text in self._said("benign_ide_completion"):
            path, _, body = text.removeprefix("# file: ").partition("\n")
            if len(body) > 400:
                yield {"path": path, "text": body[-4_000:], "added": "+" + body[-4_000:].replace("\n", "\n+")}

    def _sentence(self) -> Iterator[Item]:
        for record in self._records("benign_tatoeba_translate"):
            if record["group"].startswith("eng-"):
                yield {"text": record["messages"][-1]["content"]}

    def _utterance(self) -> Iterator[Item]:
        for source in ("benign_banking77_classify", "benign_bitext_support"):
            yield from ({"text": text} for text in self._said(source))

    def _chat(self) -> Iterator[Item]:
        """A conversation so far, in two notations, and what the user says next."""
        for source in ("benign_sgd_task_dialogue", "benign_chitchat_human"):
            for record in self._records(source):
                said = [each for each in record["messages"] if each["role"] != "system"]
                users = [place for place, each in enumerate(said) if each["role"] == "user"]
                if len(users) > 2:
                    before, last = said[: users[2]], said[users[2]]["content"]
                    lines = "\n".join(f"{each['role']}: {each['content']}" for each in before)
                    answer = next(each["content"] for each in before if each["role"] == "assistant")
                    yield {"text": lines, "last": last, "answer": answer}

    def _tool(self) -> Iterator[Item]:
        for record in self._records("benign_bfcl_tool_calls"):
            system, user = record["messages"][0]["content"], record["messages"][-1]["content"]
            yield {"tools": system.partition("\n")[2][:CHARACTERS_MAX], "text": user}

    def _search(self) -> Iterator[Item]:
        """Questions that people put to the web."""
        path = "inspect_evals/abstention_bench/data/freshqa/FreshQA_v12182024.csv"
        for row in list(csv.reader(self._data("inspect-evals", path).splitlines()))[3:]:
            yield {"question": row[2] if len(row) > 2 else ""}

    def _browse(self) -> Iterator[Item]:
        for row in json.loads(self._data("inspect-evals", "inspect_evals/mind2web_sc/data/seeact/sample_labeled_all.json")):
            yield {"task": row["confirmed_task"], "site": row["website"], "element": row["target_action_reprs"]}

    def _issue(self) -> Iterator[Item]:
        path = root(self._packages, "inspect-evals") / "inspect_evals/swe_lancer/data/all_swelancer_tasks.csv"
        csv.field_size_limit(10_000_000)
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield {"title": row["title"], "text": row["description"].replace("\\n", "\n")[:2_500]}


class Draw:
    """One request's items: the same kind is the same item, and what a tenant keeps is its own."""

    def __init__(self, kinds: Kinds, rng: Random, own: dict[str, Item], own_rng: Random) -> None:
        self._kinds, self._rng, self._own, self._own_rng = kinds, rng, own, own_rng
        self._items: dict[str, Item] = {}

    def __call__(self, text: str) -> str:
        return MARK.sub(self._field, text)

    def _field(self, found: re.Match[str]) -> str:
        kind, number, is_own, field = found.groups()
        name = f"{kind}{number}"
        kept, rng = (self._own, self._own_rng) if is_own else (self._items, self._rng)
        if name not in kept:
            kept[name] = rng.choice(self._kinds[kind])
        if field not in kept[name]:
            raise Missing(f"{found[0]}: a {kind} has no {field!r}, but {', '.join(kept[name])}")
        return kept[name][field]
