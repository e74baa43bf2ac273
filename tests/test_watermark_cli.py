"""`gauger watermark`: keys come out of policies and the secret, a marked text is told from another, and mistakes are told."""

import io
import json
import sys
from pathlib import Path

import pytest
import splintr

from gateway.cli.main import main
from gateway.output import watermark_keys
from gateway.output.watermark import green, key_of
from gateway.output.watermark_keys import KeyFile, TenantKey

SECRET = "a secret of at least 16 bytes"
TOKENIZER = splintr.Tokenizer.from_pretrained("o200k_base")
HUMAN = "\n".join(
    json.loads(line)["text"] for line in (Path(__file__).parent / "data" / "school_maths.jsonl").read_text().split("\n")[:20]
)
TENANTS = ("acme", "globex", "initech")
POLICY = """\
version: 1
organisations: {acme: {}, other: {}}
plans:
  marked: {output: {watermark: {bias: 2.0, share: 0.25, vocabulary: 8192}}}
  plain: {}
tenants:
  acme: {organisation: acme, plan: marked}
  globex: {organisation: acme, plan: plain, output: {watermark: {vocabulary: 4096}}}
  initech: {organisation: other, plan: marked, output: {watermark: {share: 0.5, vocabulary: 4096}}}
  plain: {organisation: other, plan: plain}
"""


def marked_text(tenant):
    """The human text's words, less those that are not one green token of the tenant's: as strong as a mark can be."""
    mine = set(green(key_of(SECRET.encode(), tenant), 8192, 250))
    words = dict.fromkeys(HUMAN.split())
    return "".join(f" {word}" for word in words if len(ids := TOKENIZER.encode_ordinary(f" {word}")) == 1 and ids[0] in mine)


@pytest.fixture
def keys(tmp_path):
    found = tuple(TenantKey(name, key_of(SECRET.encode(), name), 8192, 250) for name in TENANTS)
    path = tmp_path / "keys.json"
    path.write_bytes(watermark_keys.dump(KeyFile(found, "o200k_base")))
    return path


@pytest.fixture
def detect(tmp_path, keys, capsys):
    """Run `detect` on a text: (exit code, what was printed)."""

    def run(text, *arguments):
        path = tmp_path / "text"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        code = main(["watermark", "detect", str(path), "--keys", str(keys), *arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_a_marked_text_is_its_tenants(detect):
    """Exit code 0; its own tenant stands first and is named, the others are not."""
    code, printed = detect(marked_text("globex"))
    rows = [line.split() for line in printed.splitlines()]
    assert code == 0
    assert (rows[1][0], rows[1][-1]) == ("globex", "marked")
    assert {row[0] for row in rows[2:4]} == {"acme", "initech"}
    assert [row[-2:] for row in rows[2:4]] == [["not", "found"]] * 2
    assert printed.endswith("tokens, 3 keys tried; marked: p of all up to 0.001\n")


def test_a_human_text_is_nobodys(detect):
    """Exit code 3, and every tenant's verdict is that nothing was found."""
    code, printed = detect(HUMAN, "--json")
    report = json.loads(printed)
    assert code == 3
    assert report["tokens"] == len(TOKENIZER.encode_ordinary(HUMAN))
    assert {row["tenant"]: row["verdict"] for row in report["results"]} == dict.fromkeys(TENANTS, "not found")


def test_a_short_text_is_not_judged(detect):
    """Where even a text of green tokens only could not be told, the verdict says so instead of denying the mark."""
    code, printed = detect(" ".join(marked_text("acme").split()[:3]))
    assert code == 3
    assert printed.count("too short") == 3


def test_json_tells_what_the_table_tells(detect):
    """One object: raw p and p of all, which is at least the raw one; the likeliest first."""
    code, printed = detect(marked_text("acme"), "--json", "--alpha", "0.01")
    report = json.loads(printed)
    first = report["results"][0]
    assert code == 0
    assert (report["tokenizer"], report["alpha"]) == ("o200k_base", 0.01)
    assert (first["tenant"], first["verdict"], first["vocabulary"], first["share"]) == ("acme", "marked", 8192, 0.25)
    assert first["scored"] == first["green"] > 20
    assert first["p_adjusted"] == pytest.approx(3 * first["p"])
    assert [row["p"] for row in report["results"]] == sorted(row["p"] for row in report["results"])


def test_token_ids_need_no_tokenizer(detect, monkeypatch):
    """With --ids the text is a JSON list, and the package of tokenizers is not even looked for."""
    monkeypatch.setitem(sys.modules, "splintr", None)
    ids = TOKENIZER.encode_ordinary(marked_text("acme"))
    code, printed = detect(json.dumps(ids), "--ids", "--json")
    assert code == 0
    assert json.loads(printed)["tokens"] == len(ids)
    assert json.loads(printed)["tokenizer"] is None


def test_standard_input(keys, capsys, monkeypatch):
    """`-` is standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(marked_text("acme").encode())))
    assert main(["watermark", "detect", "-", "--keys", str(keys)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "acme"


def test_without_the_package_it_tells_what_to_install(detect, monkeypatch):
    """The tokenizers are optional: the error names the extra, and the way without them."""
    monkeypatch.setitem(sys.modules, "splintr", None)
    code, printed = detect("text")
    assert code == 2
    assert "pip install 'gauger[watermark]', or give token ids with --ids" in printed


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (b"ab\xff", [], "FILE: is no UTF-8 text: byte 2 cannot be read"),
        ("[1, -1]", ["--ids"], "FILE: with --ids, must be a JSON list of whole numbers from 0 to 2147483647"),
        ("[true]", ["--ids"], "FILE: with --ids, must be a JSON list of whole numbers from 0 to 2147483647"),
        ("[1,", ["--ids"], "FILE: is no JSON: "),
        ("text", ["--tokenizer", "no-such"], "--tokenizer: Unknown pretrained model: no-such. Supported: "),
        ("text", ["--tokenizer", "no/such.json"], "--tokenizer: I/O error: No such file"),
        ("text", ["--keys", "no/such"], "--keys: no/such cannot be read: No such file or directory"),
    ],
)
def test_input_that_cannot_be_used(detect, text, arguments, message):
    """Exit code 2 and one sentence: what, where, what is allowed."""
    code, printed = detect(text, *arguments)
    assert code == 2
    assert printed.startswith(f"gauger: {message}")
    assert printed.count("\n") == 1


def test_a_file_of_keys_that_notes_no_tokenizer(detect, keys):
    """No tokenizer is guessed: a wrong one would find nothing and say so."""
    keys.write_bytes(keys.read_bytes().replace(b'"o200k_base"', b"null"))
    code, printed = detect(HUMAN)
    assert code == 2
    assert "name the tokenizer of the model" in printed
    assert detect(HUMAN, "--tokenizer", "o200k_base")[0] == 3


def test_a_bad_file_of_keys(detect, keys):
    """The error names the file and the place in it."""
    keys.write_bytes(keys.read_bytes().replace(b"8192", b"0", 1))
    code, printed = detect(HUMAN)
    assert code == 2
    assert printed == f"gauger: --keys {keys}: keys[0].vocabulary: must be a whole number from 1 to 1000000\n"


@pytest.mark.parametrize("alpha", ["0", "0.6", "nan", "x"])
def test_alpha_is_a_chance(detect, alpha, capsys):
    """Above 0 and up to a half."""
    with pytest.raises(SystemExit) as caught:
        detect(HUMAN, "--alpha", alpha)
    assert caught.value.code == 2
    assert "must be a number above 0 and up to 0.5" in capsys.readouterr().err


@pytest.fixture
def policies(tmp_path, monkeypatch):
    directory = tmp_path / "policies"
    directory.mkdir()
    (directory / "p.yaml").write_text(POLICY)
    monkeypatch.setenv("GAUGER_SECRET", SECRET)
    return directory


def test_keys_of_the_policies(policies, capsys):
    """Each tenant that can be marked, with every list that can reach it, under the key the gateway marks with."""
    assert main(["watermark", "keys", "--policies", str(policies), "--tokenizer", "qwen3"]) == 0
    printed = capsys.readouterr().out
    lists = [("acme", 8192, 250), ("globex", 4096, 250), ("initech", 4096, 500), ("initech", 8192, 250)]
    keys = tuple(TenantKey(name, key_of(SECRET.encode(), name), size, share) for name, size, share in lists)
    assert watermark_keys.load(printed.encode()) == KeyFile(keys, "qwen3")


def test_keys_need_the_secret_and_a_watermark(policies, capsys, monkeypatch):
    """Without either there is nothing to print: exit code 2, and why."""
    plain = "plans: {plain: {}}\ntenants: {t: {organisation: acme, plan: plain}}\n"
    (policies / "p.yaml").write_text(POLICY.partition("plans:")[0] + plain)
    assert main(["watermark", "keys", "--policies", str(policies)]) == 2
    assert capsys.readouterr().err == "gauger: no tenant's policy has a watermark: there are no keys\n"
    monkeypatch.delenv("GAUGER_SECRET")
    assert main(["watermark", "keys", "--policies", str(policies)]) == 2
    assert "GAUGER_SECRET" in capsys.readouterr().err
