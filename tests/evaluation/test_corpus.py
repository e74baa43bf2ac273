"""The corpus: good lines are kept whole, bad ones are told with their place, and nothing else decides what is held out."""

import gzip
import json

import pytest

from gateway.errors import SettingsError
from gateway.evaluation import corpus, families
from tests.evaluation import make


def test_lines_end_in_newlines_alone(tmp_path):
    """A text may hold U+2028, U+0085 and carriage returns, raw: it is one line still."""
    text = "one\u2028two\u0085three\rfour\x0bfive"
    raw = json.dumps({"source": "s", "role_mix": "benign", "messages": [{"role": "user", "content": text}]}, ensure_ascii=False)
    found = corpus.load(make.corpus(tmp_path, s_gz=[raw.replace("\\r", "\\r"), raw]))
    (source,) = found.sources
    assert len(source.records) == 2
    assert corpus.parse(source.records[0])["messages"][0]["content"] == text
    assert found.notes == ()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        (make.line(source=7), "`source` is no text"),
        (make.line(role_mix="grey"), '`role_mix` is neither "attack" nor "benign"'),
        (make.line(messages=[]), "`messages` is no list with anything in it"),
        (make.line(messages="hi"), "`messages` is no list with anything in it"),
        (make.line(messages=[{"role": "wizard", "content": "x"}]), "`messages[0].role` is none of"),
        (make.line(messages=[{"role": "user", "content": 7}]), "`messages[0].content` is no text"),
        (make.line(messages=[{"role": "system", "content": "x"}]), "no message of a user"),
        (make.line(params=[1]), "`params` is no object"),
    ],
)
def test_a_bad_line_is_told_with_its_place(tmp_path, bad, why):
    """The good lines around it are kept, and the note says file, line and reason."""
    found = corpus.load(make.corpus(tmp_path, benign_x=[make.line(), bad, make.line()]))
    assert [len(source.records) for source in found.sources] == [2]
    (note,) = found.notes
    assert note.startswith("benign_x.jsonl:2: ")
    assert why in note


def test_many_bad_lines_are_counted(tmp_path):
    """Three are told one by one, the rest by their number."""
    found = corpus.load(make.corpus(tmp_path, benign_x=[make.line(), *["nonsense"] * 10]))
    assert len(found.notes) == corpus.BAD_TOLD_MAX + 1
    assert found.notes[-1] == "benign_x.jsonl: 7 more bad lines."


def test_a_broken_archive_gives_what_could_be_read(tmp_path):
    """A .gz that breaks off is told, and the other files are used."""
    directory = make.corpus(tmp_path, benign_x=[make.line()])
    whole = gzip.compress(b"".join(make.line(f"text {n}", source="benign_y").encode() + b"\n" for n in range(5000)))
    (directory / "benign_y.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    found = corpus.load(directory)
    assert any("benign_y.jsonl.gz: cannot be read to its end" in note for note in found.notes)
    assert found.named("benign_x").requests == 1
    assert 100 < found.named("benign_y").requests < 5000


@pytest.mark.parametrize("lines", [[], ["nonsense"]])
def test_nothing_usable_is_an_error(tmp_path, lines):
    """It says which directory, and what was wrong in it."""
    with pytest.raises(SettingsError, match="no usable line"):
        corpus.load(make.corpus(tmp_path, benign_x=lines))


def test_no_directory_is_an_error(tmp_path):
    """So is one without any file of the format."""
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        corpus.load(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"no \.jsonl or \.jsonl\.gz file"):
        corpus.load(tmp_path)


def test_what_a_line_does_not_say_its_file_says(tmp_path):
    """Source and role come from the file's name where a line has neither."""
    bare = json.dumps({"messages": [{"role": "user", "content": "x"}]})
    found = corpus.load(make.corpus(tmp_path, attack_farm_gz=[bare], benign_x=[make.line()]))
    assert [(source.name, source.role, source.family) for source in found.sources] == [
        ("attack_farm", "attack", "farm"),
        ("benign_x", "benign", "x"),
    ]


def test_a_source_of_both_roles_is_two(tmp_path):
    """Else honest text would count as an attack, or the other way round."""
    found = corpus.load(make.corpus(tmp_path, mixed=[make.line(source="m"), make.line(source="m", role_mix="attack")]))
    assert [source.name for source in found.sources] == ["m (attack)", "m (benign)"]
    assert "has lines of both roles" in found.notes[0]


def test_a_conversation_is_a_request_for_each_turn():
    """Before every answer, and at the end where the user has the last word; what nobody asked for is none."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    ends = {"u": [1], "su": [2], "sua": [2], "uaua": [1, 3], "uau": [1, 3], "aua": [2], "uuaa": [2, 3], "s": [], "a": []}
    actual = {talk: list(corpus.turns([{"role": roles[each], "content": "x"} for each in talk])) for talk in ends}
    assert ends == actual


def test_small_groups_are_no_tenants(tmp_path):
    """A group is a workload of its own from a hundred requests on."""
    lines = [make.line(f"{n}", group="large") for n in range(corpus.GROUP_REQUESTS_MIN)]
    lines += [make.line(f"{n}", group="small") for n in range(corpus.GROUP_REQUESTS_MIN - 1)]
    (source,) = corpus.load(make.corpus(tmp_path, benign_x=lines)).sources
    assert list(source.groups) == ["large"]
    assert source.groups["large"] == tuple(range(100))


def test_families_and_workloads_by_name():
    """Siblings are held out together, and the words of a name say what work it is."""
    assert families.family_of("benign_p3_rag_qa") == families.family_of("benign_p3_cnn_summarise") == "p3"
    assert families.family_of("attack_evol_instruct_gen") == "evol"
    named = {
        "benign_cot_eval_harness": "evaluation",
        "benign_ide_completion": "code",
        "benign_p3_paws_pairs": "classification",
        "benign_tatoeba_translate": "translation",
        "benign_weather": "weather",
    }
    assert named == {name: families.workload_of(name) for name in named}


def test_families_as_told(tmp_path):
    """A record's own word comes first, then the directory's, then the name's."""
    make.corpus(tmp_path, benign_x=[make.line(family="f", workload="w")], benign_y=[make.line(source="benign_y")])
    (tmp_path / "families.json").write_text(json.dumps({"benign_x": {"family": "g"}, "benign_y": {"family": "g"}}))
    assert [(s.family, s.workload) for s in corpus.load(tmp_path).sources] == [("f", "w"), ("g", "y")]
    (tmp_path / "families.json").write_text('{"benign_y": {"famly": "g"}}')
    with pytest.raises(SettingsError, match="'benign_y': must be as in"):
        corpus.load(tmp_path)


def test_licences_from_the_readme(tmp_path):
    """The line below a source's heading."""
    make.corpus(tmp_path, benign_x=[make.line()])
    (tmp_path / "README.md").write_text("# Corpus\n- licence: none of its own\n\n### benign_x  (benign)\n- licence: MIT\n")
    assert corpus.load(tmp_path).licences == {"Corpus": "none of its own", "benign_x": "MIT"}
