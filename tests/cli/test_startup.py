"""What the commands import, and where they can be run from."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support.cli_runner import PATIENCE, ROOT, SCRIPTS, imported, words

HEAVY_FOR_HELP = (
    "pandas",
    "numpy",
    "pydantic",
    "tensorflow",
    "keras",
    "alpaca",
    "rich",
    "onnxruntime",
    "requests",
    "distributed",
)
HEAVY_FOR_SERVING = (
    "tensorflow",
    "keras",
    "scipy.stats",
    "plotly",
    "sklearn",
    "alpaca",
    "matplotlib",
    "distributed",
    "dask",
    "apprise",
    "ccxt",
)
SUBCOMMANDS = (
    *("signal", "backtest", "data", "check-history", "check-mountain-time", "models", "download"),
    *("audit", "compare", "evaluate", "trade", "multi", "status", "close", "halt", "resume", "trades"),
    *("trials", "config", "doctor", "notify", "import"),
)
HELP = (
    *(f"{script} --help" for script in SCRIPTS),
    "crypto-refactor --help",
    "crypto-refactor --version",
    *(f"crypto-refactor {name} --help" for name in SUBCOMMANDS),
    "demo --help",
)


def test_the_probe_sees_what_is_imported(home):
    assert imported(home, "data --source sample", ("numpy", "tensorflow"))[1] == ["numpy"]


@pytest.mark.parametrize("line", HELP)
def test_help_works_and_imports_nothing_heavy(home, line):
    out, heavy = imported(home, line, HEAVY_FOR_HELP)
    assert ("version 0." if "--version" in line else "--help") in out
    assert heavy == []
    assert home.tree() == {"work": None}


def test_the_group_names_every_subcommand(home):
    listed = home.run("crypto-refactor --help").stdout
    assert [name for name in SUBCOMMANDS if f"\n  {name} " not in listed] == []


@pytest.mark.slow
@pytest.mark.parametrize("line", ["signal_line", "backtest_line"])
@pytest.mark.parametrize("form", ["", " --json"])
def test_a_warm_answer_imports_nothing_that_trains_or_draws(warm, line, form):
    out, heavy = imported(warm.home, getattr(warm, line) + form, HEAVY_FOR_SERVING)
    assert "SIMULATED" in out or json.loads(out)["simulated"]
    assert heavy == []


@pytest.mark.slow
def test_the_subcommands_are_the_same_jobs_as_the_scripts(warm):
    for script, name in (("app_lstm", "signal"), ("app_backtester", "backtest")):
        line = warm.signal_line if name == "signal" else warm.backtest_line
        by_script = warm.home.run(line).stdout
        by_group = warm.home.run(line.replace(script, f"crypto-refactor {name}")).stdout
        # Each suggests to go on in its own way.
        assert re.split(r"\nNext  ", by_group)[0] == re.split(r"\nNext  ", by_script)[0]
        assert "crypto-refactor backtest" in by_group
        assert "python3 models/app_backtester.py" in by_script


def test_python_m_works_from_the_checkout(home):
    options = home.options() | {"cwd": ROOT}
    command = [sys.executable, "-m", "crypto_refactor", "check-mountain-time"]
    done = subprocess.run(command, timeout=PATIENCE, check=False, **options)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("line", ["signal_line", "backtest_line"])
def test_scripts_run_from_any_folder_and_write_nothing_there(warm, line):
    assert list(warm.home.work.iterdir()) == []
    warm.home.run(getattr(warm, line))
    assert list(warm.home.work.iterdir()) == []
    options = warm.home.options() | {"cwd": "/"}
    done = subprocess.run(words(getattr(warm, line)), timeout=PATIENCE, check=False, **options)
    assert done.returncode == 0


def test_without_arguments_the_group_shows_its_help_and_ends_with_2(home):
    done = home.run("crypto-refactor", code=2)
    assert done.stdout == ""
    assert "Research:" in done.stderr
