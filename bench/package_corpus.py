"""The families as a corpus that `gauger evaluate` reads: filled, drawn, and written a file each."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from package_shapes import Content, Family, Part, Shape
from package_slots import Draw, Item, Kinds
from package_templates import At, Missing, fill, read

REQUESTS = 240
"""Of a tenant's own text: more than it is judged on."""
GROUPS = 8


def source_of(family: Family) -> str:
    return f"{'attack' if family.label == 'attack' else 'benign'}_{family.name}"


def part(family: Family, packages: Path, said: Part, draw: Draw, rng: Random) -> str:
    if isinstance(said, str):
        return draw(said)
    values = {name: part(family, packages, value, draw, rng) for name, value in said.slots.items()}
    return fill(rng.choice(read(packages, family.package, said)), values, said.keep)


def content(family: Family, packages: Path, said: Content, draw: Draw, rng: Random) -> str:
    parts = (said,) if isinstance(said, str | At) else said
    return "".join(part(family, packages, each, draw, rng) for each in parts).strip()


def keeps_own(family: Family) -> bool:
    """Whether a tenant of it has text that is its own all along."""
    return "!." in repr(family.shapes)


def request(
    family: Family, packages: Path, kinds: Kinds, shape: Shape, rng: Random, own: dict[str, Item], tenant: str
) -> dict[str, Any]:
    draw = Draw(kinds, rng, own, Random(f"own/{family.name}/{tenant}"))
    messages = [{"role": role, "content": content(family, packages, said, draw, rng)} for role, said in shape.messages]
    made: dict[str, Any] = {
        "source": source_of(family),
        "role_mix": "attack" if family.label == "attack" else "benign",
        "messages": messages,
    }
    return {**made, **({"group": tenant} if keeps_own(family) else {}), **({"params": shape.params} if shape.params else {})}


def records(family: Family, packages: Path, kinds: Kinds) -> Iterator[dict[str, Any]]:
    """What its tenants send: each shape as often as its weight says, no request twice but where the text runs out."""
    weights = [shape.weight for shape in family.shapes]
    for number in range(GROUPS if keeps_own(family) else 2):
        rng, own, seen = Random(f"records/{family.name}/{number}"), {}, set[str]()
        for _ in range(REQUESTS):
            for _ in range(20):
                shape = rng.choices(family.shapes, weights)[0]
                made = request(family, packages, kinds, shape, rng, own, f"tenant{number}")
                key = json.dumps(made["messages"])
                if key not in seen:
                    break
            seen.add(key)
            yield made


def write(families: Sequence[Family], packages: Path, kinds: Kinds, out: Path) -> None:
    """Every family's file, families.json, and a README that tells the licences. Raises Missing, naming the family."""
    out.mkdir(parents=True, exist_ok=True)
    named, told = {}, []
    for family in families:
        source = source_of(family)
        try:
            lines = [json.dumps(record, ensure_ascii=False) for record in records(family, packages, kinds)]
        except Missing as error:
            raise Missing(f"{family.name}: {error}") from None
        packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), 3, mtime=0)  # the same bytes each time
        (out / f"{source}.jsonl.gz").write_bytes(packed)
        named[source] = {"family": family.package, "workload": family.workload}
        version, licence = metadata(packages, family.package)
        told.append(
            f"## {source}\n\n- licence: {licence} (templates, {family.package} {version})\n- note: {family.note or family.workload}\n"
        )
    (out / "families.json").write_text(json.dumps(named, indent=1))
    (out / "README.md").write_text("# Families of published packages\n\n" + "\n".join(told))


def metadata(packages: Path, package: str) -> tuple[str, str]:
    """A package's version and licence, as its own metadata tell them."""
    for path in sorted((packages / package).glob("*.dist-info/METADATA")):
        head = path.read_text("utf-8", "replace").partition("\n\n")[0].split("\n")
        fields: dict[str, list[str]] = {}
        for line in head:
            name, _, value = line.partition(": ")
            fields.setdefault(name, []).append(value.strip())
        if fields.get("Name", [""])[0].lower().replace("_", "-") != package.lower().replace("_", "-"):
            continue
        licence = next((value for key in ("License-Expression", "License") for value in fields.get(key, ()) if value), "")
        classifiers = [value.rpartition(" :: ")[2] for value in fields.get("Classifier", ()) if value.startswith("License")]
        return fields["Version"][0], licence or ", ".join(classifiers) or _licence_in(path)
    return "?", "not told"


def _licence_in(metadata_path: Path) -> str:
    """What the licence's own first line says, or a link to it; for packages whose metadata do not say."""
    texts = [
        path.read_text("utf-8", "replace")[:300] for path in sorted(metadata_path.parent.rglob("LICENSE*")) if path.is_file()
    ]
    for text in (*texts, metadata_path.read_text("utf-8", "replace")):
        if found := re.search(r"(?:opensource\.org/licenses/|^ *)(MIT|Apache[- ](?:License|2\.0))", text, re.M):
            return found[1]
    return "not told by the package"
