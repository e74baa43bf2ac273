"""What `outside` is put together from: templates read out of installed packages, and slots out of a corpus. Nothing is copied.

Packages are read as files: Python sources by their syntax tree (nothing of them is run), Jinja and YAML as what they are. The
directory is a `site-packages` into which they were installed with `pip install --no-deps`; Jinja2 and PyYAML must be there too.

Failure policy: a package, a file or a template that is not there is a `SystemExit` that names it and says how to get it.
"""

from __future__ import annotations

import ast
import gzip
import json
import random
import re
import string
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from families import code_task

NEEDS = "distilabel lm-eval langchain-classic langchain-community jinja2 markupsafe pyyaml"
Slot = Callable[[random.Random], str]


class Packages:
    """A `site-packages` directory."""

    def __init__(self, site: Path) -> None:
        self.site = site
        missing = [
            name for name in ("distilabel", "lm_eval", "langchain_classic", "jinja2", "yaml") if not (site / name).is_dir()
        ]
        if missing:
            raise SystemExit(
                f"{site} lacks {', '.join(missing)}: make a throwaway environment and `pip install --no-deps {NEEDS}` into it"
            )
        sys.path.append(str(site))

    def text(self, path: str) -> str:
        try:
            return (self.site / path).read_text("utf-8")
        except OSError as error:
            raise SystemExit(f"{path} is not in {self.site}: another version of the package? ({error.strerror})") from None

    def strings(self, path: str, least: int = 60) -> list[str]:
        """Every long string of a Python file that is no docstring, in order."""
        tree = ast.parse(self.text(path))
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and type(node.value) is str and len(node.value) >= least and id(node) not in docs
        ]
        return [node.value for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))]

    def constant(self, path: str, name: str) -> Any:
        """A constant of a Python file: a literal, or literals whose `.format` is called with literals."""
        for node in ast.walk(ast.parse(self.text(path))):
            target = (
                node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
            )
            if isinstance(target, ast.Name) and target.id == name:
                return self._value(path, node.value)  # type: ignore[union-attr]
        raise SystemExit(f"{path} in {self.site} has no {name}: another version of the package?")

    def _value(self, path: str, node: Any) -> Any:
        if isinstance(node, ast.Dict):
            return {self._value(path, key): self._value(path, value) for key, value in zip(node.keys, node.values)}
        if isinstance(node, ast.Name):
            return self.constant(path, node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            arguments = [self._value(path, each) for each in node.args]
            return getattr(self._value(path, node.func.value), node.func.attr)(*arguments)
        return ast.literal_eval(node)

    def jinja(self, source: str) -> Callable[..., str]:
        from jinja2 import Environment

        return Environment(keep_trailing_newline=True).from_string(source).render

    def task(self, path: str) -> dict[str, Any]:
        """An evaluation task of lm-eval, with what it includes."""
        import yaml

        class Loader(yaml.SafeLoader):
            pass

        Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
        found = yaml.load(self.text(f"lm_eval/tasks/{path}"), Loader) or {}  # a safe loader, but for functions
        if "include" in found:
            found = self.task(str(Path(path).parent / found["include"])) | found
        return dict(found)


def fields(template: str) -> list[str]:
    """Names of a format string's fields; [] where it is none."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(template) if name and name.isidentifier()]
    except ValueError:
        return []


class Slots:
    """Real text by what it is, from a corpus directory."""

    def __init__(self, corpus: Path) -> None:
        self.corpus = corpus

    @cache  # noqa: B019  # one object a run
    def _said(self, name: str, role: str = "user") -> list[str]:
        """The first text of this role of each conversation of a source."""
        lines = gzip.decompress((self.corpus / f"{name}.jsonl.gz").read_bytes()).decode().split("\n")
        asked = [json.loads(line)["messages"] for line in lines[:4000] if line]
        return [next(each["content"] for each in messages if each["role"] == role) for messages in asked]

    def math(self, rng: random.Random) -> str:
        return rng.choice(self._said("attack_gsm8k_zeroshot_cot")).removeprefix("Q: ").split("\nA:")[0].strip()

    def instruction(self, rng: random.Random) -> str:
        if rng.random() < 0.5:
            return rng.choice(self._said("attack_gpteacher_roleplay"))
        seeds = re.findall(r"Instruction: (.+?)\n", rng.choice(self._said("attack_selfinstruct_gen")))
        return rng.choice(seeds or ["Describe the water cycle."])

    def passage(self, rng: random.Random) -> str:
        text = max(rng.choice(self._said("benign_p3_rag_qa")).split("\n"), key=len)
        quoted = max(text.split('"'), key=len)
        return (quoted if len(quoted) > len(text) // 2 else text).strip()

    def asked(self, rng: random.Random) -> str:
        """A question of general knowledge, without its passage."""
        while True:
            found = re.findall(
                r"\b(?:What|Who|When|Where|Which|How|Why)\b[^.?\"\n]{15,120}\?", rng.choice(self._said("benign_p3_rag_qa"))
            )
            if found:
                return str(found[0])

    def article(self, rng: random.Random) -> str:
        return max(rng.choice(self._said("benign_p3_cnn_summarise")).split("\n"), key=len)

    def sentence(self, rng: random.Random) -> str:
        return rng.choice(self._said("benign_wikisplit_rewrite")).split("Sentence: ")[-1].strip()

    def code(self, rng: random.Random) -> str:
        return rng.choice(self._said("benign_ide_completion"))[: rng.randint(200, 1200)]

    def user(self, rng: random.Random) -> str:
        return rng.choice(
            self._said(rng.choice(("benign_banking77_classify", "benign_bitext_support", "benign_arena_hard_user")))
        )

    def examination(self, rng: random.Random) -> str:
        """An examination question with its choices."""
        text = rng.choice(self._said("benign_cot_eval_harness"))
        return text.rsplit("Q: ", 1)[-1].split("\nA:")[0].strip()

    def functions(self, rng: random.Random) -> str:
        """Functions of an application, as a system prompt lists them."""
        return rng.choice(self._said("benign_bfcl_tool_calls", "system")).split("\n", 1)[-1][:1500]

    def programming(self, rng: random.Random) -> str:
        return code_task(rng)

    def chat(self, rng: random.Random) -> str:
        return "\n".join(f"{who}: {self.user(rng)[:200]}" for who in ("Human", "AI", "Human", "AI"))
