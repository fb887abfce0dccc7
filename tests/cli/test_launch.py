"""The scripts of the checkout, started by a Python that lacks what they need."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys

import pytest
from support.cli_runner import PATIENCE, ROOT

SCRIPTS = (
    *("models/app_lstm.py", "models/app_backtester.py", "models/data/app.py", "run_trading.py"),
    *("run_multi_ticker.py", "test_historical_data.py", "test_mountain_time.py"),
)
READ_BY_ANY_PYTHON = ("__init__.py", "version.py", "launch.py")


@pytest.fixture
def checkout(tmp_path):
    """A checkout of the scripts and of what a Python reads before it knows what it lacks."""
    root = tmp_path / "a checkout"
    for name in (*SCRIPTS, *(f"crypto_refactor/{part}" for part in READ_BY_ANY_PYTHON)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


def started(path, *words):
    """Start a script with a Python that has no library installed."""
    command = [sys.executable, "-I", "-S", str(path), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_an_environment_a_script_says_how_to_make_one(checkout, script):
    done = started(checkout / script, "--help")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert f"run `make demo` in {checkout}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_with_an_environment_the_script_starts_again_there_with_the_same_words(checkout, script):
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    python.chmod(0o755)
    done = started(checkout / script, "--ticker", "BTC/USD", "two words")
    assert done.stdout.splitlines() == [str(checkout / script), "--ticker", "BTC/USD", "two words"]


def test_a_broken_environment_is_not_started_for_ever(checkout):
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    python.chmod(0o755)
    done = started(checkout / "run_trading.py")
    assert done.returncode == 2
    assert "is not installed for" in done.stderr


@pytest.mark.parametrize("name", [*SCRIPTS, *(f"crypto_refactor/{part}" for part in READ_BY_ANY_PYTHON)])
def test_what_any_python_reads_has_no_newer_syntax(name):
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 7))
