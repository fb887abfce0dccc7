"""A home for the tool, one that is warm, and the edge of the tool inside this process."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from dataclasses import dataclass

import pytest
from filelock import FileLock
from support.cli_runner import Home

from crypto_refactor.cli.runner import run_command
from crypto_refactor.config import settings

SIGNAL = "app_lstm --source sample --network linear --hours 120 --end 2024-12-31T00:00Z"
BACKTEST = "app_backtester --source sample --network linear --hours 48 --train-hours 240"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, request):
    """One folder for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@dataclass(frozen=True)
class Warm:
    """A home in which a signal and a backtest have been asked for once, and what they answered."""

    home: Home
    signal: dict
    backtest: dict
    signal_line: str = SIGNAL
    backtest_line: str = BACKTEST


@pytest.fixture(scope="session")
def warm(shared_folder):
    """The answers of a first run; tests that change the home work on a copy."""
    home = Home(shared_folder / "warm")
    answers = shared_folder / "warm.json"
    with FileLock(shared_folder / "warm.lock"):
        if not answers.exists():
            files = f"--trades {shared_folder / 'trades.csv'} --signals {shared_folder / 'signals.csv'}"
            found = [home.json(SIGNAL), home.json(f"{BACKTEST} {files}")]
            answers.write_text(json.dumps(found), encoding="utf-8")
    first, second = json.loads(answers.read_text(encoding="utf-8"))
    return Warm(home, first, second)


@pytest.fixture
def warm_copy(warm, tmp_path):
    return warm.home.copy(tmp_path / "copy")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def invoke(monkeypatch, capsys, home):
    """Run a click command through the edge, in this process: nothing but speed sets it apart."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    unraisable = sys.unraisablehook
    for name in [name for name in os.environ if name.startswith("CRYPTO_")]:
        monkeypatch.delenv(name)
    for name, value in home.environment().items():
        if name.startswith("CRYPTO_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(home.work)
    settings.cache_clear()

    def run(command, line, *, models=None):
        if models is not None:
            monkeypatch.setenv("CRYPTO_MODEL_DIR", str(models))
        settings.cache_clear()
        with pytest.raises(SystemExit) as left:
            run_command(command, shlex.split(line), name="tool")
        return Outcome(left.value.code, *capsys.readouterr())

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.unraisablehook = unraisable
    settings.cache_clear()


@pytest.fixture
def run(invoke):
    """Run a click command, and insist on its exit code."""

    def call(command, line, *, code=0):
        done = invoke(command, line)
        assert done.code == code, done.out + done.err
        return done

    return call
