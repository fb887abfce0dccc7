"""`crypto-refactor import`, and the bars of files in every command's output."""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from pathlib import Path

import pytest
from support.cli_runner import ROOT, one_document

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.checks import history
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.cli.commands.data import command as data
from crypto_refactor.cli.commands.evaluate import command as evaluate
from crypto_refactor.cli.commands.importing import command as convert
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.commands.trade import trade
from crypto_refactor.market.hours import parse_hour, to_iso
from crypto_refactor.market.sources.csv_files import read_csv, write_csv
from crypto_refactor.market.ticker import Ticker

CASES = Path(os.environ.get("CRYPTO_CASES", ROOT.parent / "shared" / "cases"))
FIRST = parse_hour("2024-01-01T00:00Z")
HEADER = "timestamp,open,high,low,close,volume\n"
MODELS = "--network linear --lookback 12 --min-confirmations 4"


@pytest.fixture
def at(monkeypatch):
    """Stop the clock of the sources."""

    def stop(text):
        monkeypatch.setattr(
            "crypto_refactor.market.sources.base.utc_now", lambda: datetime.fromisoformat(text)
        )

    return stop


def kraken(count, first=FIRST):
    return "".join(f"{(first + at) * 3600},1.5,2.5,1.25,{2 + at % 4 / 8},3,42\n" for at in range(count))


class TestImport:
    def test_it_says_in_one_line_what_it_recognized_and_where_the_bars_are(self, run, tmp_path):
        (tmp_path / "XBTUSD_60.csv").write_text(kraken(1500), encoding="utf-8")
        out = run(
            convert, f"{tmp_path}/XBTUSD_60.csv --ticker BTC/USD --data-dir {tmp_path}/bars"
        ).out.splitlines()
        assert out == [
            "XBTUSD_60.csv: Kraken OHLCVT, seconds, oldest first, 1,500 bars",
            f"BTC/USD: 1,500 bars, 2024-01-01T00:00:00Z to 2024-03-03T11:00:00Z, in {tmp_path}/bars/btc_usd_1h.csv",
            f"Use them with --source files --data-dir {tmp_path}/bars",
        ]
        assert run(history, f"--source files --data-dir {tmp_path}/bars --hours 1500").code == 0

    def test_it_says_which_dollar_is_taken_for_which(self, run, tmp_path):
        (tmp_path / "BTCUSDT-1h.csv").write_text(kraken(3), encoding="utf-8")
        found = run(convert, f"{tmp_path}/BTCUSDT-1h.csv --ticker BTC/USD --data-dir {tmp_path}/bars")
        assert "Hint: prices in USDT are taken as USD (BTCUSDT-1h.csv). --ticker BTC/USDT" in found.err

    def test_its_document_names_each_file(self, run, tmp_path):
        for name, text in (("a.csv", kraken(4)), ("b.csv", kraken(4, FIRST + 3))):
            (tmp_path / name).write_text(text, encoding="utf-8")
        line = f"{tmp_path}/a.csv {tmp_path}/b.csv --ticker S/USD --data-dir {tmp_path} --keep last --json"
        found = one_document(run(convert, line).out)
        assert (found["ticker"], found["bars"], found["repeated"]) == ("S/USD", 7, 1)
        assert [file["layout"] for file in found["files"]] == ["Kraken OHLCVT"] * 2
        assert found["path"] == str(tmp_path / "s_usd_1h.csv")
        assert (found["first"], found["left_out"]) == ("2024-01-01T00:00:00Z", [])

    def test_the_environment_or_the_folder_of_the_file_is_where_it_writes(self, run, tmp_path, monkeypatch):
        (tmp_path / "a.csv").write_text(kraken(3), encoding="utf-8")
        run(convert, f"{tmp_path}/a.csv --ticker BTC/USD")
        assert (tmp_path / "btc_usd_1h.csv").exists()
        monkeypatch.setenv("CRYPTO_DATA_DIR", str(tmp_path / "elsewhere"))
        run(convert, f"{tmp_path}/a.csv --ticker BTC/USD")
        assert (tmp_path / "elsewhere" / "btc_usd_1h.csv").exists()

    def test_the_remedy_of_a_foreign_file_converts_it(self, run, tmp_path):
        path = tmp_path / "btc_usd_1h.csv"
        path.write_text(kraken(5), encoding="utf-8")
        refused = run(data, f"--source files --data-dir {tmp_path}", code=3).err
        command = refused.partition("`crypto-refactor import ")[2].partition("`")[0]
        assert f"the file as it was is now {path}.original" in run(convert, command).out
        assert run(history, f"--source files --data-dir {tmp_path} --hours 5").code == 0

    @pytest.mark.parametrize(
        ("line", "code", "said"),
        [
            ("{file}", 2, "--ticker is missing"),
            ("--ticker BTC/USD", 2, "FILE... is missing"),
            ("{file} --ticker BTC", 2, "'BTC' is not a ticker"),
            ("{file} --ticker BTC/USD --tz Mars/Olympus", 2, "not a known time zone"),
            ("{file} --ticker BTC/USD --columns a,b", 3, "--columns names 2 columns"),
            ("{file} --ticker BTC/USD --dates year-first", 2, "day-first or month-first"),
            ("{file}.none --ticker BTC/USD", 3, "No such file"),
            ("{file} --ticker BTC/USD --data-dir {file}", 2, "is a file"),
        ],
    )
    def test_bad_input_is_an_error_of_three_parts(self, run, tmp_path, line, code, said):
        (tmp_path / "a.csv").write_text(kraken(3), encoding="utf-8")
        error = run(convert, line.format(file=tmp_path / "a.csv"), code=code).err
        assert said in error
        assert "Expected:" in error

    def test_a_folder_that_cannot_be_written_is_an_error(self, run, tmp_path):
        (tmp_path / "a.csv").write_text(kraken(3), encoding="utf-8")
        error = run(
            convert, f"{tmp_path}/a.csv --ticker BTC/USD --data-dir {tmp_path}/a.csv/below", code=3
        ).err
        assert "cannot be written" in error


class TestRunningBars:
    """The last row of the file is the hour that is still running."""

    @pytest.fixture
    def folder(self, tmp_path, random_bars, at):
        bars = random_bars(1400, first=FIRST)
        write_csv(bars, tmp_path / "btc_usd_1h.csv")
        at(to_iso(FIRST + 1399).replace(":00Z", ":30Z").replace(":00:30", ":30:00"))
        return tmp_path

    def test_every_command_names_it_and_uses_the_bar_before(self, run, folder, fits, tmp_path, caplog):
        running, last = to_iso(FIRST + 1399), to_iso(FIRST + 1398)
        targets = tmp_path / "targets.csv"
        targets.write_text(f"made_at,target\n{to_iso(FIRST + 900)},1\n{last},0\n", encoding="utf-8")
        source = f"--source files --data-dir {folder}"
        lines = [
            (data, f"{source} --hours 100", 0),
            (history, f"{source} --hours 100", 3),
            (evaluate, f"{source} --targets {targets}", 0),
            (signal, f"{source} {MODELS} --hours 200", 0),
            (backtest, f"{source} {MODELS} --hours 48 --train-hours 240 --refit-every 48", 0),
            (compare, f"{source} {MODELS} --ticker BTC/USD --hours 48 --train-hours 240 --refit-every 48", 0),
            (trade, f"{source} {MODELS} --train-hours 240 --refit-every 48 --once --demo", 0),
            (trade, f"{source} {MODELS} --train-hours 240 --refit-every 48 --demo --replay-hours 5", 0),
        ]
        for command, line, code in lines:
            caplog.clear()
            shown = run(command, line, code=code)
            assert f"the bar stamped {running} closes at" in shown.out + caplog.text, line
            document = run(command, line + " --json", code=code).out
            last_line = one_document(document if "replay" not in line else document.splitlines()[-1])
            assert any(running in note for note in last_line["data_notes"]), line

    def test_the_last_closed_bar_is_the_newest(self, run, folder):
        found = one_document(run(data, f"--source files --data-dir {folder} --hours 10 --json").out)
        assert found["bars"][-1]["opened_at"] == to_iso(FIRST + 1398)
        assert found["end"] == to_iso(FIRST + 1399)
        assert len(found["left_out"]) == 1

    def test_check_history_fails_what_it_cannot_vouch_for(self, run, folder):
        found = one_document(
            run(history, f"--source files --data-dir {folder} --hours 100 --json", code=3).out
        )
        assert [check["what"] for check in found["checks"] if not check["holds"]] == [
            "stamps are UTC opens of closed bars"
        ]

    def test_bars_of_tomorrow_are_an_error_with_a_remedy(self, run, folder, at):
        at(to_iso(FIRST + 1390).replace("Z", "+00:00"))
        shown = run(data, f"--source files --data-dir {folder}", code=3)
        assert "stamps are not UTC?" in shown.err
        assert "--tz ZONE" in shown.err


class TestTickers:
    @pytest.mark.parametrize("ticker", ["S/USD", "A/USD", "T/USD"])
    def test_coins_of_one_letter_are_tickers_like_others(self, run, tmp_path, random_bars, ticker):
        pair = Ticker.parse(ticker)
        write_csv(random_bars(30, ticker=pair), tmp_path / f"{pair.slug}_1h.csv")
        shown = run(data, f"--source files --data-dir {tmp_path} --ticker {ticker} --hours 24").out
        assert shown.startswith(f"{ticker}: 24 hourly bars")

    def test_any_pair_that_the_source_offers_is_accepted_and_others_are_named_by_the_source(
        self, run, tmp_path, random_bars
    ):
        write_csv(random_bars(30, ticker=Ticker("PEPE", "USDT")), tmp_path / "pepe_usdt_1h.csv")
        source = f"--source files --data-dir {tmp_path}"
        run(data, f"{source} --ticker PEPE/USDT --hours 24")
        assert "has no bars of WIF/USD" in run(data, f"{source} --ticker WIF/USD", code=3).err

    def test_a_bad_line_of_the_list_concerns_only_itself(self, run, tmp_path, monkeypatch, fits, caplog):
        (tmp_path / "mine.txt").write_text("BTC/USD\nnonsense\nETH/USD\n", encoding="utf-8")
        monkeypatch.setenv("CRYPTO_TICKERS", str(tmp_path / "mine.txt"))
        line = f"--source sample {MODELS} --hours 24 --train-hours 240 --refit-every 48"
        run(compare, line)
        assert "Line 2 of the ticker list" in caplog.text
        found = one_document(run(compare, f"{line} --json").out)
        assert {trial["ticker"] for trial in found["trials"]} == {"BTC/USD", "ETH/USD"}
        run(data, "--source sample --hours 24")


@pytest.fixture(scope="module")
def cases():
    if not CASES.is_dir():
        pytest.skip(f"no cases at {CASES} (set CRYPTO_CASES)")
    return CASES


class TestCases:
    """The inputs that went wrong once, where they are at hand."""

    def test_every_dialect_is_read_as_it_is_or_converted_by_one_command(self, run, cases, tmp_path):
        for folder in sorted((cases / "csv-dialects").iterdir()):
            into = tmp_path / folder.name
            run(convert, f"{shlex.quote(str(folder / 'btc_usd_1h.csv'))} --ticker BTC/USD --data-dir {into}")
            shown = run(history, f"--source files --data-dir {into} --hours 3")
            assert "2024-01-01T00:00:00Z to 2024-01-01T02:00:00Z" in shown.out, folder
            assert read_csv(into / "btc_usd_1h.csv", Ticker("BTC", "USD")).open[0] == 42283.58

    def test_stamps_without_seconds_print_no_warning_of_a_library(self, cases, home):
        folder = cases / "csv-dialects" / "stamps-without-seconds"
        done = home.run(f"check_history --source files --data-dir {folder} --hours 3")
        assert done.stderr == ""

    def test_local_time_is_noticed(self, run, cases):
        folder, source = cases / "local-time-with-dst", "--hours 600 --source files --data-dir"
        autumn = run(data, f"{source} {folder}/autumn", code=3).err
        assert "2023-11-05 01:00 stands twice, on the day when clocks go back in America/New_York" in autumn
        assert "crypto-refactor import" in autumn
        spring = run(data, f"{source} {folder}/spring").out
        assert "2023-03-12 02:00 is missing, on a day when clocks go forward in America/New_York" in spring
        run(history, f"{source} {folder}/spring", code=3)
        assert "Asia/Kolkata" in run(data, f"{source} {folder}/india", code=3).err

    def test_local_time_is_converted_by_one_command(self, run, cases, tmp_path):
        for name, zone, bars in (
            ("autumn", "America/New_York", 744),
            ("spring", "America/New_York", 720),
            ("india", "Asia/Kolkata", 720),
        ):
            path = cases / "local-time-with-dst" / name / "btc_usd_1h.csv"
            shown = run(convert, f"{path} --ticker BTC/USD --data-dir {tmp_path / name} --tz {zone}").out
            assert f"BTC/USD: {bars} bars" in shown
            run(history, f"--source files --data-dir {tmp_path / name} --hours {bars}")

    def test_a_list_with_a_coin_of_one_letter_serves_every_ticker(self, run, cases, monkeypatch):
        monkeypatch.setenv("CRYPTO_TICKERS", str(cases / "one-letter-base" / "tickers.txt"))
        run(data, "--source sample --ticker BTC/USD --hours 24")

    def evaluated(self, run, folder, options=""):
        line = f"--ticker BTC/USD --source files --data-dir {folder} --targets {folder}/targets.csv --json {options}"
        done = run(evaluate, line)
        return one_document(done.out), done.err

    def test_alpaca_takes_no_buy_below_10_usd(self, run, cases):
        found, _ = self.evaluated(run, cases / "alpaca-minimum-10-usd", "--venue alpaca --initial-balance 9")
        assert (found["metrics"]["trades"], found["metrics"]["final_balance"]) == (0, 9.0)

    def test_an_order_above_200_000_usd_is_split_and_stays_one_trade(self, run, cases, tmp_path):
        trades = tmp_path / "trades.csv"
        options = f"--venue alpaca --initial-balance 1000000 --trades {trades}"
        found, _ = self.evaluated(run, cases / "alpaca-maximum-200k", options)
        rows = trades.read_text(encoding="utf-8").splitlines()[1:]
        assert found["metrics"]["trades"] == sum(not row.endswith(("open", "dust")) for row in rows) == 19
        assert found["metrics"]["initial_balance"] == 1_000_000

    def test_a_fee_in_per_cent_ends_at_nothing_with_a_hint(self, run, cases):
        found, said = self.evaluated(run, cases / "fee-in-per-cent", "--fee 0.1")
        assert found["metrics"]["final_balance"] == pytest.approx(0, abs=0.01)
        assert "--fee is a fraction: 0.1 is 10 %" in said

    def test_a_drawdown_is_as_long_as_its_hours(self, run, cases):
        found, _ = self.evaluated(run, cases / "drawdown-length-across-a-gap", "--allow-gaps --fee 0")
        assert found["metrics"]["max_drawdown_hours"] == 388
