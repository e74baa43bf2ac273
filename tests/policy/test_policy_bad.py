"""One bad file for each mistake in bad/: the `# expect:` lines at its top are all that is said of it, to the letter."""

import shutil
from pathlib import Path

import pytest

from gateway.errors import PolicyErrors
from gateway.policy.load import load_dir
from tests.policy.meters import METERS

BAD = sorted(Path(__file__).with_name("bad").glob("*.yaml"))


@pytest.mark.parametrize("bad", BAD, ids=lambda path: path.stem)
def test_bad_file(bad: Path, tmp_path: Path) -> None:
    """Every mistake is reported once, with its line, column, path and what is allowed; nothing else is."""
    expected = [line.removeprefix("# expect: ") for line in bad.read_text().splitlines() if line.startswith("# expect: ")]
    shutil.copy(bad, tmp_path)
    with pytest.raises(PolicyErrors) as caught:
        load_dir(tmp_path, meters=METERS)
    prefix = f"{tmp_path / bad.name}:"
    actual = [
        str(mistake).removeprefix(prefix).replace(str(tmp_path / bad.name), bad.name) for mistake in caught.value.mistakes
    ]
    assert expected == actual


def test_there_are_bad_files() -> None:
    """The suite above is not empty by accident."""
    assert len(BAD) >= 100
