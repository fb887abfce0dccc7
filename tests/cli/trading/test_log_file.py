"""The log of a run: times, secrets, rotation, and what becomes of it when it cannot be written."""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path

import pytest

from crypto_refactor.cli.command_table import load_command
from crypto_refactor.cli.trading import log_file
from crypto_refactor.cli.trading.log_file import SHOWN, hidden_texts, run_log
from crypto_refactor.config import settings
from crypto_refactor.errors import BrokerError, DataError

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) [\w.]+ ")


@pytest.fixture
def path(tmp_path, monkeypatch):
    for name in ("CRYPTO_LOG_FILE", "CRYPTO_LOG_LEVEL", "ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield tmp_path / "trading.log"
    settings.cache_clear()


def keep(path, notify=None):
    return run_log({"log_file": path, "notify": notify})


def test_a_run_leaves_a_log_of_what_it_showed(run, path, fits):
    line = "--demo --source sample --network linear --train-hours 240 --replay-hours 2 --verbose"
    run(load_command("trade"), f"{line} --log-file {path}")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "begins, process" in lines[0]
    assert lines[-1].endswith("ended")
    assert any("Backtest these exact rules" in each for each in lines)
    assert sum("BTC/USD    " in each for each in lines) >= 2
    assert all(LINE.match(each) for each in lines if each.startswith("2"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_environment_names_the_file_and_its_level(run, path, monkeypatch, fits):
    monkeypatch.setenv("CRYPTO_LOG_FILE", str(path))
    monkeypatch.setenv("CRYPTO_LOG_LEVEL", "warning")
    run(load_command("trade"), "--demo --source sample --network linear --train-hours 240 --once")
    assert path.read_text(encoding="utf-8") == ""


def test_no_secret_reaches_the_log(path, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", "PKABCDEF")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "sesame-sesame")
    hook, other = "https://hooks.example.com/services/T000/B000?token=opensesame", "tgram://bottoken/chatid"
    log = logging.getLogger(SHOWN)

    def talk():
        with keep(path, (hook, other)):
            log.info("posting to %s and %s", hook, other)
            log.warning("POST /services/T000/B000?token=opensesame with PKABCDEF")
            raise RuntimeError("sesame-sesame in a traceback")

    with pytest.raises(RuntimeError):
        talk()
    text = path.read_text(encoding="utf-8")
    for secret in ("PKABCDEF", "sesame", "T000", "bottoken"):
        assert secret not in text
    assert text.count("[hidden]") >= 5
    assert "Traceback" in text


def test_one_address_or_several_are_hidden_the_longest_first():
    one = hidden_texts(["key-key"], "https://a.example/long-path")
    assert one == hidden_texts(["key-key"], ["https://a.example/long-path"])
    assert one[0] == "https://a.example/long-path"
    assert hidden_texts([], None) == []
    assert hidden_texts([""], "http://[broken") == ["http://[broken"]


def test_an_error_stands_in_the_log_with_its_exit_code(path):
    with pytest.raises(BrokerError), keep(path):
        raise BrokerError("The broker is away.", expected="a broker.", remedy="wait.")
    last = path.read_text(encoding="utf-8").splitlines()[-1]
    assert "ERROR" in last
    assert "exit code 5: The broker is away." in last
    assert "Traceback" not in last


def test_it_rotates_and_keeps_a_few(path, monkeypatch):
    monkeypatch.setattr(log_file, "MAX_BYTES", 2_000)
    with keep(path):
        for number in range(300):
            logging.getLogger(SHOWN).info("line %d of many", number)
    names = sorted(each.name for each in path.parent.iterdir())
    assert names == ["trading.log", *(f"trading.log.{n}" for n in range(1, log_file.FILES_KEPT + 1))]
    assert all(each.stat().st_size <= 2_000 for each in path.parent.iterdir())
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in path.parent.iterdir())


def test_two_runs_share_a_log_and_only_the_first_rotates_it(path, monkeypatch):
    monkeypatch.setattr(log_file, "MAX_BYTES", 2_000)
    first, second = log_file._LogFile(path, ()), log_file._LogFile(path, ())
    record = logging.LogRecord("x", logging.INFO, "", 0, "y" * 300, (), None)
    try:
        for _ in range(12):
            second.emit(record)
        assert not (path.parent / "trading.log.1").exists()
        first.emit(record)
        assert (path.parent / "trading.log.1").exists()
        second.emit(record)  # follows into the new file
        assert path.read_text(encoding="utf-8").count("\n") == 2
    finally:
        first.close()
        second.close()


def test_a_log_that_cannot_be_written_is_refused_before_the_run(path):
    with pytest.raises(DataError), keep(path.parent / "missing" / "x.log"):
        pytest.fail("the run began")


def test_a_log_that_fails_meanwhile_is_said_once_and_the_run_goes_on(path, capsys):
    with keep(Path("/dev/full")):
        for _ in range(3):
            logging.getLogger(SHOWN).info("lost")
    err = capsys.readouterr().err
    assert err.count("The log /dev/full cannot be written; the run goes on.") == 1
    assert "Traceback" not in err


def test_stderr_shows_no_more_than_without_a_log(path, capsys):
    before = (
        [(each, each.level) for each in logging.getLogger().handlers],
        logging.getLogger("crypto_refactor").level,
    )
    with keep(path):
        logging.getLogger("crypto_refactor.somewhere").info("for the file alone")
    assert "for the file alone" in path.read_text(encoding="utf-8")
    assert "for the file alone" not in capsys.readouterr().err
    after = (
        [(each, each.level) for each in logging.getLogger().handlers],
        logging.getLogger("crypto_refactor").level,
    )
    assert after == before
