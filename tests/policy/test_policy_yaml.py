"""The strict reader: it reads what every YAML reader reads alike, and survives whatever bytes a file holds."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Mistake, PolicyErrors
from gateway.policy import yaml_tree
from gateway.policy.load import load_dir
from gateway.policy.yaml_text import FILE_BYTES_MAX
from gateway.policy.yaml_tree import Items, Node, Scalar, Table, read_tree
from tests.policy.meters import METERS

CONTRACT = (Path(__file__).parents[1] / "fixtures" / "contract.yaml").read_bytes()


def read(data: bytes) -> tuple[Node | None, list[Mistake]]:
    mistakes: list[Mistake] = []
    return read_tree(data, "f", mistakes), mistakes


@given(
    st.text(st.sampled_from("0123456789-+._:eExXobBnaiftTyYrRuUsSlLNOFZ~= "), min_size=1, max_size=8)
    .map(str.strip)
    .filter(bool)
)
@settings(max_examples=1500)
def test_plain_scalars_mean_the_same_to_other_readers(text: str) -> None:
    """What is accepted as text, integer, boolean or null is just that to a YAML 1.1 reader too."""
    data = f"- {text}\n"
    tree, mistakes = read(data.encode())
    if mistakes or not isinstance(tree, Items) or not isinstance(tree.items[0], Scalar):
        return
    node = tree.items[0]
    expected = yaml.safe_load(data)[0]
    if node.kind == "text":
        assert expected == node.text
    elif node.kind in ("int", "float"):
        assert expected == float(node.text)
        assert not isinstance(expected, bool)
    else:
        assert expected == {"true": True, "false": False}.get(node.text)


@given(st.binary(max_size=60) | st.text(st.sampled_from("a:[]{}-?&*!|>'\"%@#,\n \t<5"), max_size=60).map(str.encode))
@settings(max_examples=600)
def test_any_bytes_give_a_tree_or_a_mistake(data: bytes) -> None:
    """No input raises; a file without a tree has a mistake, whose line and column lie in the file and whose text is clean."""
    tree, mistakes = read(data)
    assert tree is not None or mistakes
    lines = data.replace(b"\r", b"\n").count(b"\n") + 1
    for mistake in mistakes:
        assert 1 <= mistake.line <= lines + 1
        assert mistake.column >= 1
        assert str(mistake).isprintable()


@given(
    st.integers(0, len(CONTRACT) - 1),
    st.integers(0, 8),
    st.binary(max_size=6) | st.sampled_from([b"[", b"{}", b": ", b"no", b"\n  "]),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_policy_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, patch: bytes
) -> None:
    """The contract's policies with any few bytes replaced load, or raise PolicyErrors: never another exception."""
    directory = tmp_path_factory.mktemp("damaged")
    (directory / "p.yaml").write_bytes(CONTRACT[:at] + patch + CONTRACT[at + cut :])
    message = ""
    try:
        load_dir(directory, meters=METERS)
    except PolicyErrors as errors:
        message = str(errors) or "no mistake is named \0"
    assert message.replace("\n", "").isprintable()


def test_nodes_know_their_places() -> None:
    """Lines and columns count from 1, in characters, after a byte order mark and after Windows line ends too."""
    tree, mistakes = read("\ufeffä: [1, 'b']\r\nc:\r\n  - d\r\n".encode())
    assert not mistakes
    assert isinstance(tree, Table)
    key, first = tree.entries["ä"]
    assert (key.line, key.column, first.line, first.column) == (1, 1, 1, 4)
    assert isinstance(first, Items)
    assert first.items == [Scalar(1, 5, "1", "int"), Scalar(1, 8, "b", "text")]
    second = tree.entries["c"][1]
    assert isinstance(second, Items)
    assert second.items == [Scalar(3, 5, "d", "text")]


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"a: 1\nb: \x1b[2J\n", 2, 4, "U+001B is a control or invisible character: remove it"),
        (b"a: 1\x00\n", 1, 5, "U+0000 is a control or invisible character: remove it"),
        ("a: x # \u202eoops\n".encode(), 1, 8, "U+202E is a control or invisible character: remove it"),
        ("a: 1\u2028b: 2\n".encode(), 1, 5, "U+2028 is a control or invisible character: remove it"),
        (b"a: 1\nb: \xff\n", 2, 4, "byte 0xff is not UTF-8: save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, 1, "byte 0xff is not UTF-8: save the file as UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), 1, 1, "the file is larger than 4194304 bytes: split it"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, line: int, column: int, message: str) -> None:
    """Bytes that nobody can see in an editor are refused where they stand, before any parser meets them."""
    tree, mistakes = read(data)
    assert tree is None
    assert mistakes == [Mistake("f", line, column, "top level", message)]


def test_bombs_are_small() -> None:
    """Aliases are not expanded and depth is refused at once: neither a laugh nor a million brackets cost anything."""
    laughs = b"a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    assert len(read(laughs)[1]) == 7
    (mistake,) = read(b"[" * 1_000_000)[1]
    assert mistake.message == "nested deeper than 32 levels"


def test_works_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser in Python gives the same tree where libyaml is not built in."""
    fast, _ = read(CONTRACT)
    monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    slow, mistakes = read(CONTRACT)
    assert not mistakes
    assert fast == slow
