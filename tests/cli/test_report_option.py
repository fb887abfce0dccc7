"""`--report`: a file that is written whole, beside the others, and says how to make it again."""

from __future__ import annotations

import re
import shlex

import pytest
from support.html_dom import repeated

from crypto_refactor.cli.commands.backtest import command
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.hours import to_iso

LINE = "--source sample --network linear --hours 24 --train-hours 240 --lookback 12 --min-confirmations 3"


def test_the_command_in_it_makes_the_same_report_again(invoke, fits, home):
    first = invoke(command, f"{LINE} --report a.html --trades t.csv --json")
    assert first.code == 0, first.err
    text = (home.work / "a.html").read_text(encoding="utf-8")
    words = repeated(text)
    assert words[:2] == ["python3", "models/app_backtester.py"]
    assert "--end" in words
    assert not {"--report", "--trades", "--json"} & set(words)
    again = invoke(command, shlex.join([*words[2:], "--report", "b.html"]))
    assert again.code == 0, again.err
    other = (home.work / "b.html").read_text(encoding="utf-8")
    assert repeated(other) == words
    assert other == text


def test_the_folder_of_bars_is_named_where_only_the_environment_named_it(
    invoke, fits, home, monkeypatch, tmp_path, bar_folder
):
    monkeypatch.setenv("CRYPTO_DATA_DIR", str(bar_folder))
    found = invoke(command, LINE.replace("sample", "files") + " --report a.html")
    assert found.code == 0, found.err
    words = repeated((home.work / "a.html").read_text(encoding="utf-8"))
    assert words[words.index("--data-dir") + 1] == str(bar_folder)


@pytest.fixture
def bar_folder(tmp_path, random_bars):
    bars = random_bars(2500)
    folder = tmp_path / "bars <b>"
    folder.mkdir()
    columns = [getattr(bars, name).tolist() for name in ("opened", *COLUMNS)]
    lines = ["timestamp,open,high,low,close,volume"]
    lines += [f"{to_iso(at)},{','.join(map(repr, values))}" for at, *values in zip(*columns, strict=True)]
    (folder / "btc_usd_1h.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ("--report x --trades x", ("--trades", "--report")),
        ("--report ./x --signals x", ("--signals", "--report")),
        ("--signals x --trades x", ("--trades", "--signals")),
    ],
)
def test_two_files_of_one_name_are_refused_before_any_work(invoke, fits, home, files, named):
    found = invoke(command, f"{LINE} {files}")
    assert found.code == 2
    assert all(name in found.err for name in named)
    assert fits.trained == 0
    assert list(home.work.iterdir()) == []


def test_a_report_that_cannot_be_written_is_refused_before_any_work(invoke, fits):
    assert invoke(command, f"{LINE} --report nowhere/x.html").code == 3
    assert fits.trained == 0


@pytest.mark.parametrize("name", ["x.pdf", "x.csv"])
def test_a_name_that_promises_another_format_is_refused_before_any_work(invoke, fits, name):
    found = invoke(command, f"{LINE} --report {name}")
    assert found.code == 2
    assert "write --report x.html" in found.err
    assert fits.trained == 0


def suggested(text, label):
    """Return the words of the command behind a label, as a shell reads them."""
    found = re.search(rf"^{label} {{2,}}((?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    return shlex.split(found[1].replace("\\\n", ""))


def test_every_file_is_named_and_the_line_that_repeats_the_run_gives_the_same(invoke, fits, home):
    found = invoke(command, f"{LINE} --report a.html --trades t.csv --signals s.csv --no-journal")
    assert found.code == 0, found.err
    files = {"a.html": "report", "t.csv": "trades", "s.csv": "signals"}
    listed = ", ".join(f"{name} ({kind})" for name, kind in files.items())
    assert f"Written {listed} " in f"{' '.join(found.out.split())} "
    assert all((home.work / name).is_file() for name in files)
    again = suggested(found.out, "Again")
    assert again[:2] == ["python3", "models/app_backtester.py"]
    repeated_run = invoke(command, shlex.join([*again[2:], "--no-journal"]))
    kept = [line for line in found.out.splitlines() if not line.startswith(("Written", "More"))]
    assert [line for line in repeated_run.out.splitlines() if not line.startswith("More")] == kept


def test_what_is_suggested_next_is_a_command_that_works(invoke, fits):
    following = suggested(invoke(command, f"{LINE} --no-journal").out, "Next")
    values = command.make_context("backtest", following[2:]).params
    assert (values["hours"], values["network"], values["lookback"]) == (2160, "linear", 12)
