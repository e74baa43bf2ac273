"""Families of published packages: what is read, filled and drawn is what the package and the corpus say. Not a measurement."""

import gzip
import json
import sys
from pathlib import Path
from random import Random

import pytest

from gateway.evaluation import corpus
from gateway.evaluation.tenants import specs

BENCH = Path(__file__).parent.parent / "bench"
sys.path.append(str(BENCH))

import package_corpus  # noqa: E402  # the bench is a folder of programs, not a package
import package_families  # noqa: E402
import package_scores  # noqa: E402
from package_attacks import ATTACKS  # noqa: E402
from package_honest import DUAL, HONEST  # noqa: E402
from package_shapes import Family, says  # noqa: E402
from package_slots import Draw, Kinds  # noqa: E402
from package_templates import At, Missing, Template, fill, read  # noqa: E402

sys.path.remove(str(BENCH))

SOURCE = '''
"""Not a template."""
PLAIN = "Answer {question} as {{\\"json\\": 1}}."
LINES = ("one line, " "another {of} them")
METHODS = {"deepen": "Ask for more depth than before, please.", "widen": "Ask for something rarer than before."}
PROMPTS["kept"] = """By its key."""

class Asks:
    """Ask well."""

    SYSTEM = Wrapped("A system prompt.")

    def prompt(self, topic):
        text = f"About {topic.name}, {{not}} a slot."
        text += dedent("""\\
            Dedented.
            Twice.""")
        return text
'''


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "packages" / "pack"
    folder.mkdir(parents=True)
    (folder / "asks.py").write_text(SOURCE)
    (folder / "asks.yaml").write_text("prompts:\n  - content: Say {{ word }}.\n")
    (folder / "asks.json").write_text('{"slices": {"role": "You are {role}."}}')
    (folder / "asks.md").write_text("Develop {{count}} queries.")
    (folder / "pack-1.2.dist-info").mkdir()
    (folder / "pack-1.2.dist-info" / "METADATA").write_text("Name: pack\nVersion: 1.2\nLicense: MIT\n\nLong words.\n")
    return tmp_path / "packages"


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    lines = [json.dumps({"messages": [{"role": "user", "content": f"Q: How many are {n}?\nA: think"}]}) for n in range(300)]
    (folder / "attack_gsm8k_zeroshot_cot.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("asks.py", "PLAIN", 'Answer {question} as {{"json": 1}}.'),
        ("asks.py", "LINES", "one line, another {of} them"),
        ("asks.py", "PROMPTS['kept']", "By its key."),
        ("asks.py", "Asks.SYSTEM", "A system prompt."),
        ("asks.py", "Asks.__doc__", "Ask well."),
        ("asks.py", "Asks.prompt.text#0", "About {topic.name}, {not} a slot."),
        ("asks.py", "Asks.prompt.text#1", "Dedented.\nTwice."),
        ("asks.yaml", "prompts.0.content", "Say {{ word }}."),
        ("asks.json", "slices.role", "You are {role}."),
        ("asks.md", "", "Develop {{count}} queries."),
    ],
)
def test_a_template_is_read_by_its_name(packages, path, name, expected):
    """Assigned, in a class, in a function, by a key, as a whole file: the text that the program would send."""
    assert [each.text for each in read(packages, "pack", At(path, name))] == [expected]


def test_one_of_several_strings_is_any_but_the_keys(packages):
    """`#*` is every string there that is long enough to be a prompt."""
    found = read(packages, "pack", At("asks.py", "METHODS#*"))
    assert [each.text.split()[2] for each in found] == ["more", "something"]


@pytest.mark.parametrize(
    ("where", "package", "told"),
    [
        (At("asks.py", "PLAIN"), "other", "pip install --no-deps --target"),
        (At("gone.py", "PLAIN"), "pack", "has no gone.py: this list was made for another version of it"),
        (At("asks.py", "GONE"), "pack", "asks.py has no GONE"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(packages, where, package, told):
    """A package, a file, a name: each says which, and a package how it is brought."""
    with pytest.raises(Missing) as caught:
        read(packages, package, where)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (Template('Say {word}: {{"a": 1}}', False), 'Say <x>: {"a": 1}'),
        (Template('Say {word}: {"a": {"b": 1}}', True), 'Say <x>: {"a": {"b": 1}}'),
        (Template('Say {{ word }}: {{"a": 1}}', False), 'Say <x>: {{"a": 1}}'),
        (Template("Say {{{{word}}}}.", False), "Say <x>."),
    ],
)
def test_a_template_is_filled_in_its_own_way(template, expected):
    """str.format, f-string, Jinja, and doubled Jinja: braces that are no slot are what the model would get."""
    assert fill(template, {"word": "<x>"}) == expected


def test_what_is_filled_in_is_never_read_as_a_template():
    """Text of the corpus may hold braces, and a slot's name."""
    assert fill(Template("{a} {b}", False), {"a": "{b} {{x}}", "b": "2"}) == "{b} {{x}} 2"


@pytest.mark.parametrize(
    ("values", "told"), [({}, "'word' was not filled"), ({"word": "x", "other": "y"}, "no placeholder 'other'")]
)
def test_no_slot_is_forgotten_or_invented(values, told):
    """A template whose placeholders are not those of the list stops the run: another version of the package has others."""
    with pytest.raises(Missing) as caught:
        fill(Template("Say {word}.", False), values)
    assert told in str(caught.value)


def test_one_request_draws_one_item_and_a_tenant_keeps_its_own(texts, packages):
    """The same mark is the same text within a request, a number another one, and ! the same in every request."""
    kinds, own = Kinds(texts, packages), {}
    said = [
        Draw(kinds, Random(n), own, Random("own"))("<math.question>|<math.question>|<math2.question>|<math!.question>").split(
            "|"
        )
        for n in (1, 2)
    ]
    assert all(each[0] == each[1] != each[2] for each in said)
    assert said[0][0] != said[1][0]
    assert said[0][3] == said[1][3]


def test_the_written_corpus_is_one_that_is_evaluated(texts, packages, tmp_path):
    """Every line is usable; tenants with text of their own are groups; family and licence are told; twice it is the same."""
    honest = Family(
        "asks",
        "benign",
        "pack",
        "retrieval",
        (says(At("asks.json", "slices.role", {"role": "<math!.question>"}), temperature=0),),
    )
    attack = Family(
        "makes", "attack", "pack", "extraction", (says(("<math.question> ", At("asks.md", "", {"count": "3"})), "sys"),)
    )
    for out in ("one", "two"):
        package_corpus.write((honest, attack), packages, Kinds(texts, packages), tmp_path / out)
    read_back = corpus.load(tmp_path / "one")
    assert [(source.name, source.role, source.family, source.workload) for source in read_back.sources] == [
        ("attack_makes", "attack", "pack", "extraction"),
        ("benign_asks", "benign", "pack", "retrieval"),
    ]
    assert read_back.notes == ()
    assert [len(source.groups) for source in read_back.sources] == [0, package_corpus.GROUPS]
    assert len({spec.group for spec in specs(read_back.sources[1], package_scores.TENANTS)}) == package_scores.TENANTS
    assert set(read_back.licences.values()) == {"MIT (templates, pack 1.2)"}
    files = [(tmp_path / out / "attack_makes.jsonl.gz").read_bytes() for out in ("one", "two")]
    assert files[0] == files[1]


def test_the_list_is_of_one_kind_each_and_of_nothing_that_was_built_on():
    """Names are unique, labels are those of their list, and no family is of a package that the watch was made on."""
    families = (*ATTACKS, *HONEST, *DUAL)
    assert len({family.name for family in families}) == len(families)
    labels = {family.label for family in ATTACKS}, {family.label for family in HONEST}, {family.label for family in DUAL}
    assert labels == ({"attack"}, {"benign"}, {"dual"})
    assert not [family.package for family in families if family.package.startswith(("distilabel", "lm-eval", "langchain"))]
    assert len({line.split()[-1] for line in package_families.pip_lines(Path("p"))}) >= 15
