"""Tripwire lists: what a file may say, and what is said of one that may not."""

import pytest

from gateway.detectors import PHRASES, Lens
from gateway.errors import PolicyErrors
from gateway.policy.read_phrases import read_phrases

GOOD = """
version: 1
book: mine
edition: "7"
groups:
  - name: owls
    means: asks about owls
    patterns: ['\\bowls?\\b', 'barn .{0,9}bird']
"""


def write(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def mistakes(*paths):
    with pytest.raises(PolicyErrors) as caught:
        read_phrases(paths)
    return [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes]


def test_the_lists_that_come_with_the_gateway():
    """They are read, each group says what it means, and a lens tells which edition it has."""
    books = read_phrases(PHRASES)
    assert [book.name for book in books] == ["extraction"]
    assert all(group.means and group.patterns for book in books for group in book.groups)
    assert Lens.of(b"s", books).editions == (f"extraction {books[0].edition}",)


def test_a_list_of_ones_own_fires(tmp_path):
    """An operator's list is used beside the built-in ones."""
    lens = Lens.of(b"s", (*read_phrases(PHRASES), *read_phrases([write(tmp_path, GOOD)])))
    assert lens.phrases(b"think step by step about owls") == ("owls", "steps")
    assert lens.phrases(b"a barn is no bird") == ("owls",)
    assert lens.phrases(b"growls") == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        ("version: 1", "version: 2", 2, "version", "this gateway reads `version: 1`"),
        ("book: mine", "bock: mine", 3, "bock", "unknown word; did you mean `book`?"),
        ('edition: "7"', "edition: 7", 4, "edition", '7 is not text to YAML: write "7" in quotes'),
        ("'barn .{0,9}bird'", "'barn ('", 8, "groups[0].patterns[1]", "RE2 does not take this pattern: missing ): barn ("),
        ("'barn .{0,9}bird'", "''", 8, "groups[0].patterns[1]", "a pattern has 1 to 500 characters"),
        ("'barn .{0,9}bird'", "Barn", 8, "groups[0].patterns[1]", "it has capital letters, and meets lower-case text only"),
        ("'barn .{0,9}bird'", "'x*'", 8, "groups[0].patterns[1]", "RE2 does not take this pattern: it matches the empty"),
        ("means: asks about owls", "means: ''", 7, "groups[0].means", "must be one printable line of at most 200 characters"),
    ],
)
def test_a_mistake_is_told(tmp_path, old, new, line, path, message):
    """Each mistake is told with its line, its place and what is allowed."""
    found = mistakes(write(tmp_path, GOOD.replace(old, new)))
    assert any((at, where) == (line, path) and what.startswith(message) for at, where, what in found), found


def test_groups_have_names_of_their_own(tmp_path):
    """A group is counted by its name: two of one name, in whichever files, are a mistake."""
    one, two = write(tmp_path, GOOD), write(tmp_path, GOOD.replace("book: mine", "book: yours"), "yours.yaml")
    assert mistakes(one, two) == [(6, "groups[0].name", f"`owls` is already a group, at {one}:6")]


def test_there_are_only_so_many_groups(tmp_path):
    """Each group costs every tenant's window: more than 32 in all are refused."""
    groups = "".join(f"  - {{name: g{at}, means: m, patterns: [a]}}\n" for at in range(33))
    found = mistakes(write(tmp_path, GOOD.partition("groups:")[0] + "groups:\n" + groups))
    assert [what for _, _, what in found] == ["33 groups are too many: at most 32 in all books together"]


def test_a_file_that_is_not_there(tmp_path):
    """A missing file is a mistake of the whole set, not an empty list."""
    assert [what for _, _, what in mistakes(tmp_path / "none.yaml")] == ["cannot be read: is not a regular file"]
