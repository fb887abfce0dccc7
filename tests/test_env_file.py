"""The `.env` file: who may write to it, what it may hold, and that nothing of it is ever shown."""

from __future__ import annotations

import logging
import os
import pwd
from types import SimpleNamespace

import pytest

from crypto_refactor import config, env_file
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.runner import run_command
from crypto_refactor.errors import UsageError

SECRET = "PKSECRET0123456789"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with an `.env`: `checkout(b"NAME=value")` returns the settings it makes."""
    monkeypatch.setattr(config, "checkout_root", lambda: tmp_path)
    for name in [name for name in os.environ if name.startswith(("CRYPTO_", "ALPACA_"))]:
        monkeypatch.delenv(name)

    def settings(content, mode=0o600):
        path = tmp_path / ".env"
        path.write_bytes(content)
        path.chmod(mode)
        config.settings.cache_clear()
        return config.settings()

    yield settings
    config.settings.cache_clear()


def key(settings):
    return settings.alpaca_api_key.get_secret_value()


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked as UTF-8"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_of_any_editor_is_read(checkout, begin, end):
    assert key(checkout(begin + f"ALPACA_API_KEY={SECRET}".encode() + end)) == SECRET


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"ALPACA_API_KEY={SECRET}".encode("utf-16"), "not UTF-8"),
        (f"ALPACA_API_KEY={SECRET}\xff".encode("latin-1"), "not UTF-8"),
        (f"ALPACA_API_KEY={SECRET}\0".encode(), "not UTF-8"),
        (f"ALPACA_API_KEY={SECRET}\n".encode() * 100_000, "more than 1,000,000 bytes"),
    ],
)
def test_what_is_no_text_is_refused_with_a_remedy(checkout, content, why):
    with pytest.raises(UsageError, match=why) as caught:
        checkout(content)
    assert caught.value.expected
    assert "remove it and set the variables in the environment" in caught.value.remedy
    assert SECRET not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_with_a_remedy(checkout, tmp_path, monkeypatch):
    checkout(b"")
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").symlink_to(tmp_path / ".env")  # as unreadable to root as to anybody
    monkeypatch.setattr(type(tmp_path), "is_file", lambda _path: True)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        env_file.readable_env_file(tmp_path / ".env")
    assert "permissions" in caught.value.remedy


def test_a_folder_of_that_name_is_no_file(checkout, tmp_path):
    (tmp_path / "x.env").mkdir()
    assert env_file.readable_env_file(tmp_path / "x.env") is None


@pytest.mark.parametrize("mode", [0o602, 0o666, 0o622])
def test_a_file_that_everybody_may_write_to_is_named(checkout, caplog, tmp_path, mode):
    with caplog.at_level(logging.WARNING):
        checkout(f"ALPACA_API_KEY={SECRET}".encode(), mode)
        config.settings()
    (record,) = caplog.records
    assert f"{tmp_path / '.env'} can be written by other users" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_that_only_its_owner_may_write_to_is_not_mentioned(checkout, caplog, mode):
    checkout(b"CRYPTO_SOURCE=sample", mode)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("name", "members", "named"),
    [("own", (), False), ("own", ("own",), False), ("own", ("other",), True), ("staff", (), True)],
)
def test_a_group_of_others_may_not_write_to_it_either(checkout, caplog, monkeypatch, name, members, named):
    me = SimpleNamespace(pw_name="own", pw_gid=os.getgid())
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: me)
    group = SimpleNamespace(gr_name=name, gr_gid=os.getgid(), gr_mem=list(members))
    monkeypatch.setattr("grp.getgrgid", lambda _gid: group)
    checkout(b"CRYPTO_SOURCE=sample", 0o660)
    assert bool(caplog.records) is named


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (f"ALPACA_PAPER={SECRET}", ""),
        (f"CRYPTO_SOURCE={SECRET}", ""),
        (f"CRYPTO_CLUSTER={SECRET}", "--source sample"),
        (f"CRYPTO_CLUSTER=tcp://me:{SECRET}@host:8786", "--source sample"),
        (f"CRYPTO_ALPACA_DATA_URL=https://me:{SECRET}@data.alpaca.markets", ""),
        (f"CRYPTO_STATE_DIR=~{SECRET}/state", ""),
        (f"ALPACA_API_KEY={SECRET}", ""),
    ],
)
@pytest.mark.parametrize("more", ["", "--json", "--debug"])
def test_no_value_is_ever_shown(checkout, capfd, tmp_path, line, options, more):
    """In its right place or in a wrong one, in text, in JSON and with a traceback."""
    (tmp_path / "tickers.txt").write_text("BTC/USD\n")
    (tmp_path / ".env").write_text(line)
    config.settings.cache_clear()
    with pytest.raises(SystemExit) as left:
        run_command(backtest, f"--hours 24 {options} {more}".split(), name="tool")
    shown = "".join(capfd.readouterr())
    assert left.value.code == 2
    assert ("Expected: " in shown) or ('"expected"' in shown)
    assert SECRET not in shown
