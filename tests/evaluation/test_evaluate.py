"""The whole evaluation on the sample corpus: with watches whose figures are known, and by the command with the real one."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.cli.main import main
from gateway.evaluation import plan, writing
from gateway.evaluation.campaigns import WAYS
from gateway.evaluation.evaluate import Asked, evaluate
from gateway.evaluation.standard import STANDARD
from gateway.policy.load import load_dir
from gateway.policy.model import NO_OUTPUT
from tests.evaluation import make, sample, stubs

CORPUS, TRACES = sample.HERE / "corpus", sample.HERE / "traces"
FIGURES = {"roc", "roc-left", "delay", "leaked", "dilution", "hydra"}


def evaluated(makes, seed=1, ladder=STANDARD):
    asked = Asked(CORPUS, TRACES, plan.SMALLEST, 0, seed, ladder, makes, frozenset(("attack_farm_tasks",)))
    return evaluate(asked, lambda name, count: lambda: None)


@pytest.fixture(scope="module")
def perfect():
    return evaluated(stubs.Perfect())


@pytest.fixture(scope="module")
def blind():
    return evaluated(stubs.Blind())


def test_the_sample_is_what_its_writer_writes():
    """Nobody has edited the files by hand."""
    for directory, files in ((CORPUS, sample.corpus()), (TRACES, sample.traces())):
        for name, text in files:
            assert (directory / name).read_text() == text


def test_a_perfect_watch_catches_all(perfect):
    """Area 1 whatever is held out, all caught at the first look, under every attacker."""
    watch = perfect["detection"]["scores"]["watch"]
    for way in ("family", "source", "random"):
        assert (watch[way]["auc"], watch[way]["caught"], watch[way]["flagged"]) == (1.0, 1.0, 0.0)
    assert {row["name"]: row["watch"]["caught"] for row in perfect["attackers"]} == {
        row["name"]: 1.0 for row in perfect["attackers"]
    }
    for delay in perfect["detection"]["delays"]:
        assert (delay["caught"], set(delay["requests"])) == (delay["streams"], {26})
    assert all(target["reached"] for target in perfect["targets"])


def test_a_blind_watch_is_worth_nothing(blind):
    """An area about a half, and its targets missed with their numbers."""
    assert 0.25 < blind["detection"]["scores"]["watch"]["family"]["auc"] < 0.75
    caught = blind["targets"][0]
    assert (caught["reached"], caught["value"] < 0.5) == (False, True)
    assert [row["linked"] for row in blind["accounts"]["linked"]] == [0.0] * len(WAYS)


def test_a_campaign_gets_what_its_accounts_may(perfect, blind):
    """With one account its budget holds it; with ten a watch that links nobody gives more; each way of holding holds no less
    than the one before."""
    for tree in (perfect, blind):
        for split in tree["accounts"]["splits"]:
            shares = list(split["got"].values())
            assert shares == sorted(shares, reverse=True)
    one, ten = perfect["accounts"]["splits"]
    assert (one["accounts"], ten["accounts"]) == (1, 10)
    assert 0.0 < one["got"]["alone"] < ten["got"]["alone"] < 1.0  # 26 requests of each account, until it is judged
    assert ten["linked"] == 1.0


def test_a_change_counts_from_when_a_tenant_turned(perfect, blind):
    """A watch that sees a change with the first request of the last day notices every turn after one request, and is wrong
    about each tenant that did not turn; one that sees none notices nothing, and is never wrong."""
    turned = [row for row in perfect["history"]["turns"] if row["kind"] != "honest"]
    assert [(row["turn"], row["noticed"], row["delay"]) for row in turned] == [
        (name, 1.0, 1.0) for name in ("redeployed", "pivot30", "pivot50", "pivot100")
    ]
    for row in perfect["history"]["honest"].values():
        sources = row["tenants"] // 6
        assert (row["told"], row["requests"]) == (2 * sources, (2 * 450 + 4 * 300) * sources)
        assert row["per_1000"] == pytest.approx(1000 * 2 / 2_100)
    assert {row["noticed"] for row in blind["history"]["turns"]} == {0.0}
    assert {row["told"] for row in blind["history"]["honest"].values()} == {0}


def test_honest_tokens_are_all_there(blind):
    """Those of every workload; a score of half of what the first step needs touches none of them."""
    tolls = blind["honest"]["tolls"]
    assert tolls.keys() == {"chat", "classification", "evaluation", "support"}
    assert all(each["tokens"] > 0 for each in tolls.values())
    assert blind["honest"]["touched"] == pytest.approx(
        sum(each["touched"] for each in tolls.values()) / sum(each["tokens"] for each in tolls.values())
    )


def test_a_loud_watch_costs_the_honest(monkeypatch):
    """If all score 1000 the ladder takes tokens of everybody, and the targets say so."""
    monkeypatch.setattr(stubs.Blind, "watcher", lambda self, spec: stubs.Fixed(1000))
    tree = evaluated(stubs.Blind())
    assert all(each["share"] > 0 for each in tree["honest"]["tolls"].values())
    by_what = {target["what"].partition(" (")[0]: target["reached"] for target in tree["targets"]}
    assert by_what["honest tokens delayed or cut under the default ladder, all workloads"] is False
    assert by_what["the same of evaluation harnesses with a declared purpose"] is False


def test_the_same_seed_is_the_same_report(blind):
    """To the last digit; another seed draws other tenants."""
    assert evaluated(stubs.Blind()) == blind
    assert evaluated(stubs.Blind(), seed=2)["detection"] != blind["detection"]


def test_data_is_told(perfect):
    """Every source with its family, size and licence, and which ones were fitted on."""
    sources = {source["source"]: source for source in perfect["data"]["sources"]}
    assert sources.keys() == sample.SOURCES.keys()
    assert {source["licence"] for source in sources.values()} == {"Apache-2.0"}
    assert {source["records"] for source in sources.values()} == {sample.RECORDS}
    assert [name for name, source in sources.items() if source["fitted_on"]] == ["attack_farm_tasks"]


def test_the_standard_ladder_is_the_shipped_one():
    """What honest tenants are walked on by default is what the policies of the project put everybody on."""
    policy = load_dir(sample.HERE.parents[2] / "policies")
    shipped = policy.ladders[policy.watch.ladder]

    def plain(ladder):
        steps = tuple(dataclasses.replace(step, place=ladder.place, output=NO_OUTPUT) for step in ladder.steps)
        return dataclasses.replace(ladder, steps=steps, place=None, cluster_budgets=())

    moved = dataclasses.replace(shipped, place=STANDARD.place)
    assert plain(moved) == plain(STANDARD)
    for ours, theirs in zip(STANDARD.steps, shipped.steps, strict=True):
        assert dataclasses.replace(ours.output, places={}) == dataclasses.replace(theirs.output, places={})


def test_files_of_a_report(perfect, tmp_path):
    """Plots that parse as XML and hold their curves, one HTML file that needs nothing else, and links that resolve."""
    writing.prepare(tmp_path / "deep" / "out")
    written = writing.write(tmp_path / "deep" / "out", perfect)
    out = written[0].parent
    assert {path.name for path in out.iterdir()} == {path.name for path in written}
    for name in FIGURES:
        root = ElementTree.parse(out / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 10
    html = (out / "report.html").read_text()
    assert html.count("<svg") == len(FIGURES)
    assert "<script" not in html
    assert not [word for word in html.split() if word.startswith(("src=", 'href="http', "@import"))]
    markdown = (out / "report.md").read_text()
    assert {f"({name}.svg)" in markdown for name in FIGURES} == {True}
    for target in perfect["targets"]:
        assert f"| {target['what']} |" in markdown
        assert target["what"] in html
    tree = json.loads((out / "evaluation.json").read_text())
    assert (tree["format"], tree["targets"]) == (1, perfect["targets"])


def test_the_same_tree_is_the_same_files(perfect, tmp_path):
    """No date, no random id: two reports can be compared by diff."""
    first, again = ({path.name: path.read_bytes() for path in writing.write(_made(tmp_path / n), perfect)} for n in "ab")
    assert first == again


def _made(directory: Path) -> Path:
    writing.prepare(directory)
    return directory


def test_a_directory_that_cannot_be_written(tmp_path, capsys):
    """Is told before anything is read."""
    (tmp_path / "file").write_text("")
    code = main(["evaluate", "--corpus", "none", "--traces", "none", "--out", str(tmp_path / "file" / "out")])
    assert code == 2
    assert "--out: " in capsys.readouterr().err


def test_one_family_is_too_few(tmp_path, capsys):
    """Nothing could be held out."""
    directory = make.corpus(tmp_path / "c", benign_x=[make.line()], attack_y=[make.line(source="attack_y", role_mix="attack")])
    code = main(["evaluate", "--corpus", str(directory), "--traces", str(TRACES), "--out", str(tmp_path / "out")])
    assert code == 2
    assert "needs at least two attacking families to hold one out; there is y" in capsys.readouterr().err


def test_policies_without_a_ladder(tmp_path, capsys):
    """Are an error, and not an evaluation of some other ladder."""
    (tmp_path / "p.yaml").write_text("version: 1\n")
    code = main(
        ["evaluate", "--corpus", str(CORPUS), "--traces", str(TRACES), "--out", str(tmp_path), "--policies", str(tmp_path)]
    )
    assert code == 2
    assert "has no `watch: {ladder: ...}`" in capsys.readouterr().err


def test_the_command(tmp_path):
    """The real watch, in processes of its own: a report, its targets printed, and twice the same one under one seed."""
    command = [
        sys.executable,
        "-m",
        "gateway.cli.main",
        "evaluate",
        "--corpus",
        CORPUS,
        "--traces",
        TRACES,
        "--size",
        "smallest",
    ]
    outputs = []
    for number, processes in enumerate("12"):
        environment = {**os.environ, "PYTHONHASHSEED": "random"}
        asked = [*command, "--processes", processes, "--out", tmp_path / str(number)]
        done = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=sample.HERE.parents[2], timeout=600)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
        tree = json.loads((tmp_path / str(number) / "evaluation.json").read_text())
        assert len([line for line in done.stdout.splitlines() if line.startswith(("reached ", "MISSED "))]) == len(
            tree["targets"]
        )
        outputs.append(tree)
    assert outputs[0] == outputs[1]
    assert outputs[0]["detection"]["scores"]["watch"]["family"]["auc"] > 0.5
