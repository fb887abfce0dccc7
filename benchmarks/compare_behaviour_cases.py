"""The cases of `compare_behaviour.py`: command lines by name, and the files they read."""

from __future__ import annotations

import csv
import random
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command line: a script of the checkout or ``crypto-refactor``, and the exit code it should have."""

    line: str
    code: int = 0

    def words(self) -> list[str]:
        return shlex.split(self.line)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Command lines that share a working folder and a state folder.

    `needs` is ``bars`` where real ones are read, ``alpaca`` where its servers are played, or empty.  The model
    folder is that of all cases, which saves training, unless the case asks for its own.
    """

    name: str
    steps: tuple[Step, ...]
    needs: str = ""
    own_models: bool = False

    def filled(self, *, inputs: Path, data_dir: Path | None) -> Case:
        """Return the case with the folders it reads from written into its lines."""
        places = {"{inputs}": str(inputs), "{bars}": str(data_dir)}
        steps = []
        for step in self.steps:
            line = step.line
            for name, folder in places.items():
                line = line.replace(name, shlex.quote(folder))
            steps.append(replace(step, line=line))
        return replace(self, steps=tuple(steps))


LSTM, BACKTESTER, DATA = "models/app_lstm.py", "models/app_backtester.py", "models/data/app.py"
TRADE, MULTI = "run_trading.py", "run_multi_ticker.py"
HISTORY, MOUNTAIN = "test_historical_data.py", "test_mountain_time.py"
SCRIPTS = (LSTM, BACKTESTER, DATA, TRADE, MULTI, HISTORY, MOUNTAIN)
COMMANDS = (
    "audit",
    "backtest",
    "check-history",
    "check-mountain-time",
    "close",
    "compare",
    "data",
    "download",
    "evaluate",
    "halt",
    "models",
    "multi",
    "resume",
    "signal",
    "status",
    "trade",
    "trades",
)

SAMPLE = "--source sample --network small"
RULES = "--train-hours 480 --refit-every 240 --lookback 24 --threshold-scale 0 --min-confirmations 6"
"""Models that are soon trained, and rules that trade often."""
QUICK = f"{SAMPLE} {RULES}"
TWO = "--ticker BTC/USD --ticker ATOM/USD"
"""ATOM/USD of the sample has a hole of five hours."""
HOLED = f"--source files --data-dir {{inputs}}/bars --network small {RULES} --refit-every 720 --end 2024-06-30T00:00Z"
REAL = f"--source files --data-dir {{bars}} --network small {RULES} --end 2024-08-31T00:00Z"
LIVED = "--network small --train-hours 240 --refit-every 1 --lookback 12 --threshold-scale 0 --min-confirmations 0"
"""Models of the hour before, so that what is decided at Alpaca does not depend on when this runs."""
EXECUTION = (
    "",
    "--exit opposite",
    "--exit fade",
    "--long-only",
    "--venue alpaca",
    "--venue alpaca --fee 0.0025 --max-drawdown 0.002",
    "--stop-loss 0.005",
    "--take-profit 0.004",
    "--exit opposite --stop-loss 0.01 --take-profit 0.01",
    "--max-drawdown 0.01",
    "--borrow 0.2",
    "--slippage 5",
    "--strict",
    "--position-size 0.5",
    "--max-notional 20000",
    "--fee 0",
    "--end 2024-12-28T00:00Z --seed 0 --tz America/Denver",
)
WRONG = (
    "--ticker FOO/USD",
    "--ticker BTCUSD",
    "--lookback 1",
    "--no-such-option",
    "--lookback 24.5",
    "--min-confirmations 10",
    "--threshold-scale nan",
    "--seed -1",
    "--network large",
    "--end 2024-12-31T00:30Z",
    "--tz Mars/Olympus",
    "--source nowhere",
    "--source files",
    "--data-dir {inputs}/bars",
    "--model ../elsewhere",
)
WRONG_EXECUTION = (
    "--fee -0.001",
    "--fee 0.1%",
    "--initial-balance 0",
    "--initial-balance nan",
    "--slippage -1",
    "--position-size 1.5",
    "--borrow nan",
    "--stop-loss 0",
    "--take-profit inf",
    "--max-drawdown 5",
    "--max-notional nan",
    "--exit never",
    "--venue nyse",
    "--train-hours 239",
    "--refit-every 0",
    "--cluster nowhere",
)


def cases() -> Iterator[Case]:
    """Yield every case, in the order they run."""
    yield from _signals()
    yield from _backtests()
    yield from _judging()
    yield from _data()
    yield from _demo()
    yield from _many()
    yield from _at_alpaca()
    yield from _usage_errors()
    yield from _on_real_bars()


def _case(name: str, *lines: str | Step, needs: str = "", own_models: bool = False) -> Case:
    steps = tuple(line if isinstance(line, Step) else Step(line=line) for line in lines)
    return Case(name=name, steps=steps, needs=needs, own_models=own_models)


def _ends(code: int, line: str) -> Step:
    return Step(line=f"{line} --json", code=code)


def _signals() -> Iterator[Case]:
    btc = f"{LSTM} --ticker BTC/USD --hours 240 {SAMPLE}"
    eth = f"{LSTM} --ticker ETH/USD --hours 240 --lookback 48 --retrain-threshold 12 {SAMPLE}"
    named = f"{LSTM} --hours 120 --model v9 --seed 3 {SAMPLE}"
    yield _case("signal", f"{btc} --json", f"{btc} --json", btc, f"{btc} --retrain --json")
    yield _case(
        "signal-old-model",
        f"{eth} --end 2024-12-30T00:00Z --json",
        f"{eth} --end 2024-12-30T11:00Z --json",
        f"{eth} --end 2024-12-30T13:00Z --json",
        f"{eth} --end 2024-12-30T05:00Z --json",
    )
    yield _case(
        "signal-named-model",
        f"{named} --json",
        f"{named} --min-confirmations 3 --threshold-scale 1.5 --json",
        f"{named} --tz America/Denver",
        f"crypto-refactor signal --model v9 --seed 3 --hours 120 {SAMPLE} --json",
        f"crypto-refactor signal --model v9 --seed 3 --hours 160 {SAMPLE} --json",
    )
    yield _case("signal-third-ticker", f"{LSTM} --ticker AAVE/USD --hours 480 --lookback 60 {SAMPLE} --json")
    yield _case(
        "signal-documented-network",
        f"{LSTM} --hours 120 --lookback 24 --source sample --json",
        f"{LSTM} --hours 120 --lookback 24 --source sample",
    )


def _backtests() -> Iterator[Case]:
    documented = f"{BACKTESTER} --ticker BTC/USD --hours 240 {SAMPLE}"
    quick = f"{BACKTESTER} --ticker BTC/USD --hours 240 {QUICK}"
    holed = f"{BACKTESTER} --hours 240 {HOLED}"
    yield _case("backtest", f"{documented} --json", documented)
    yield _case(
        "backtest-balance-and-fee",
        f"{BACKTESTER} --ticker ETH/USD --hours 240 --initial-balance 50000 --fee 0.0015 {QUICK} --json",
        f"{BACKTESTER} --ticker ETH/USD --hours 120 --initial-balance 100000 {QUICK} --json",
    )
    yield _case(
        "backtest-files",
        f"{quick} --json --trades trades.csv --signals signals.csv --report report.html",
        f"crypto-refactor backtest --hours 240 {QUICK} --trades again.csv --report again.html",
        "crypto-refactor evaluate --targets signals.csv --ticker BTC/USD --source sample --json",
    )
    options = (
        f"{quick} {more} --json --trades {place}.csv --signals signals-{place}.csv"
        for place, more in enumerate(EXECUTION)
    )
    yield _case("backtest-execution-options", *options)
    yield _case(
        "backtest-pinned-model",
        f"{LSTM} --model pinned --hours 240 --end 2024-12-20T00:00Z {SAMPLE} --json",
        f"{BACKTESTER} --model pinned --hours 240 {SAMPLE} --json --signals signals.csv",
        _ends(4, f"{BACKTESTER} --model pinned --hours 480 {SAMPLE}"),
        f"{TRADE} --model pinned --demo --replay-hours 12 {SAMPLE} --json",
    )
    yield _case(
        "backtest-gaps",
        _ends(3, holed),
        f"{holed} --allow-gaps --json --trades trades.csv --signals signals.csv",
        f"{holed} --allow-gaps",
        f"{BACKTESTER} --ticker ATOM/USD --hours 480 {QUICK} --json --signals hole.csv",
    )


def _judging() -> Iterator[Case]:
    sample = "--source sample"
    targets = f"crypto-refactor evaluate --targets {{inputs}}/targets.csv --ticker BTC/USD {sample}"
    compare = f"crypto-refactor compare --hours 240 {QUICK}"
    audit = f"crypto-refactor audit --hours 240 {QUICK}"
    yield _case(
        "evaluate",
        f"{targets} --json --trades trades.csv --report report.html",
        targets,
        f"{targets} --hours 100 --end 2024-12-27T00:00Z --long-only --fee 0.002 --slippage 3 --json",
        f"{targets} --venue alpaca --stop-loss 0.01 --max-drawdown 0.05 --json",
        f"{targets} --position-size 0.3 --max-notional 9000 --borrow 0.1 --take-profit 0.01 --json",
        "crypto-refactor evaluate --targets {inputs}/targets-2024-06.csv --source files "
        "--data-dir {inputs}/bars --allow-gaps --json",
    )
    yield _case(
        "compare",
        f"{compare} {TWO} --vary exit=neutral,opposite --vary long-only=on,off --json --csv table.csv",
        f"{compare} {TWO} --vary stop-loss=0.01,off --vary min-confirmations=5,6",
        f"{compare} --ticker BTC/USD --json",
        _ends(1, f"{compare} {TWO} --vary venue=none,alpaca --vary threshold-scale=0,1 --vary strict=on,off"),
    )
    yield _case("audit", f"{audit} --json", audit, f"{audit} --full --json", f"{audit} --full --exit fade")


def _data() -> Iterator[Case]:
    sample, files = "--source sample", "--source files --data-dir {inputs}/bars --end 2024-06-30T00:00Z"
    yield _case(
        "data",
        f"{DATA} {sample} --json",
        f"{DATA} {sample} --ticker ATOM/USD --hours 480 --tz America/Denver",
        f"crypto-refactor data {sample} --ticker ATOM/USD --hours 400 --end 2024-12-20T00:00Z --json",
        f"{DATA} {files} --hours 300 --json",
    )
    yield _case(
        "checks",
        f"{HISTORY} {sample}",
        f"{HISTORY} {sample} --ticker ETH/USD --hours 48 --end 2024-11-03T12:00Z --json",
        f"{HISTORY} {files} --ticker ETH/USD --json",
        _ends(3, f"{HISTORY} {files}"),
        f"{MOUNTAIN}",
        f"{MOUNTAIN} --json",
        f"crypto-refactor check-history {sample} --json",
        "crypto-refactor check-mountain-time --json",
    )
    yield _case("download-from-sample", _ends(2, "crypto-refactor download --source sample --data-dir ."))
    programs = ("crypto-refactor", *SCRIPTS, *(f"crypto-refactor {name}" for name in COMMANDS))
    yield _case("help", *(f"{program} --help" for program in programs), "crypto-refactor --version")
    prune = "crypto-refactor models --prune --keep-gb"
    yield _case(
        "models",
        "crypto-refactor models --json",
        f"{LSTM} --hours 120 --lookback 12 {SAMPLE} --json",
        f"{BACKTESTER} --hours 24 {SAMPLE} --train-hours 240 --lookback 12 --json",
        "crypto-refactor models --json",
        "crypto-refactor models",
        f"{prune} 2 --json",
        f"{prune} 0 --json",
        "crypto-refactor models --json",
        own_models=True,
    )


def _demo() -> Iterator[Case]:
    hours = ("29T18", "29T19", "29T20", "30T06")
    once = f"{TRADE} --ticker BTC/USD --once --demo {QUICK}"
    replayed = f"{TRADE} --ticker ATOM/USD --demo --replay-hours 60 {QUICK}"
    yield _case(
        "trade-once",
        "crypto-refactor status --json",
        "crypto-refactor trades --json",
        *(f"{once} --end 2024-12-{hour}:00Z --json" for hour in hours),
        f"{once} --end 2024-12-30T06:00Z --json",
        "crypto-refactor status --json",
        "crypto-refactor trades --csv held.csv",
        "crypto-refactor close --ticker BTC/USD --demo --source sample --json",
        "crypto-refactor status --demo --source sample --debug --json",
        f"{once} --end 2024-12-30T07:00Z --json",
        f"{once} --end 2024-12-30T08:00Z",
        "crypto-refactor close --all --json",
        "crypto-refactor trades --csv trades.csv --json",
        "crypto-refactor trades",
        "crypto-refactor status",
    )
    yield _case(
        "halt",
        "crypto-refactor resume --json",
        "crypto-refactor halt --why lunch --json",
        "crypto-refactor status --json",
        f"{once} --end 2024-12-29T18:00Z --json",
        "crypto-refactor status",
        "crypto-refactor resume",
        "crypto-refactor status --json",
        "crypto-refactor halt",
    )
    yield _case(
        "trade-once-drawdown",
        *(
            f"{once} --max-drawdown 0.002 --end 2024-12-{day}T12:00Z --json"
            for day in (24, 25, 27, 28, 29, 30)
        ),
        "crypto-refactor status --json",
        "crypto-refactor resume --demo --source sample --json",
        "crypto-refactor status --json",
        f"crypto-refactor trade --once --demo {QUICK}",
    )
    yield _case(
        "replay",
        f"{replayed} --json",
        "crypto-refactor status --json",
        "crypto-refactor trades --csv trades.csv --json",
        f"{replayed} --end 2024-12-20T00:00Z --json",
        f"{replayed} --json",
        f"{TRADE} --demo --replay-hours 48 {QUICK} --venue alpaca --stop-loss 0.01 --tz America/Denver",
        f"{TRADE} --demo --replay-hours 48 {QUICK} --exit opposite --slippage 2 --strict --json",
        "crypto-refactor status --json",
        _ends(5, "crypto-refactor close --all --account demo/sample"),
        f"{TRADE} --demo --replay-hours 48 {HOLED} --allow-gaps --json",
    )


def _many() -> Iterator[Case]:
    many = f"{MULTI} {TWO} {QUICK}"
    yield _case(
        "multi-signals",
        f"{many} --mode sequential --json",
        f"{many} --mode parallel --max-workers 2 --json",
        f"{many} --mode sequential",
    )
    yield _case(
        "multi-demo-passes",
        f"{many} --mode sequential --demo --end 2024-12-30T00:00Z --json",
        f"{many} --mode parallel --max-workers 2 --demo --end 2024-12-30T01:00Z --json",
        f"{many} --mode once --demo --end 2024-12-30T02:00Z --json",
        f"{many} --mode once --demo --initial-balance 5000",
        "crypto-refactor status --json",
        "crypto-refactor close --all --json",
        f"{MULTI} --ticker BTC/USD --mode sequential --demo {HOLED} --allow-gaps --json",
        "crypto-refactor status --demo --source files --data-dir {inputs}/bars --json",
        _ends(2, f"{many} --mode once"),
        _ends(1, f"{MULTI} {TWO} --mode sequential {HOLED} --allow-gaps"),
    )
    yield _case(
        "multi-replay",
        f"{many} --mode demo --replay-hours 36 --initial-balance 20000 --json",
        f"{many} --mode demo --replay-hours 36 --initial-balance 20000",
        "crypto-refactor status --json",
        "crypto-refactor trades --csv trades.csv",
    )


def _at_alpaca() -> Iterator[Case]:
    ended = "--end 2024-01-01T00:00Z"
    yield _case(
        "alpaca-bars",
        "crypto-refactor download --ticker BTC/USD --ticker ETH/USD --hours 100 --data-dir bars --json",
        f"{DATA} --hours 48 --json",
        f"{HISTORY} --hours 200 --json",
        f"{LSTM} --hours 240 --lookback 12 --network small --json",
        _ends(3, f"crypto-refactor download --hours 10 --data-dir more {ended}"),
        needs="alpaca",
    )
    for name, account in (("alpaca-paper", ""), ("alpaca-demo", "--demo")):
        once = (
            f"{MULTI} --mode once --ticker BTC/USD --ticker ETH/USD --initial-balance 20000 {LIVED} {account}"
        )
        third = f"{TRADE} --ticker SOL/USD --once --initial-balance 5000 {LIVED} {account}"
        yield _case(
            name,
            f"{once} --json",
            f"{once} --json",
            "crypto-refactor status --json",
            "crypto-refactor halt --why lunch --json",
            f"{third} --json",
            "crypto-refactor resume --json",
            "crypto-refactor close --ticker BTC/USD --json",
            "crypto-refactor close --all --json",
            "crypto-refactor trades --csv trades.csv --json",
            "crypto-refactor status",
            once,
            _ends(2, f"{once} {ended}"),
            needs="alpaca",
        )


def _usage_errors() -> Iterator[Case]:
    trained = {
        LSTM: SAMPLE,
        BACKTESTER: f"{QUICK} --hours 48",
        "crypto-refactor audit": f"{QUICK} --hours 48",
        "crypto-refactor compare": f"{QUICK} --hours 48",
        TRADE: f"{QUICK} --demo",
        MULTI: f"{QUICK} --demo",
    }
    for program, rest in trained.items():
        line = f"{program} {rest}"
        yield _case(
            f"errors-{Path(program).stem.removeprefix('crypto-refactor ')}",
            *(_ends(2, f"{line} {option}") for option in (WRONG if program == LSTM else WRONG[::3])),
            _ends(3, f"{line} --source files --data-dir nowhere --ticker BTC/USD"),
            _ends(3, f"{line} --end 2030-01-01T00:00Z --ticker BTC/USD"),
        )
    yield _case(
        "errors-execution",
        *(_ends(2, f"{BACKTESTER} {QUICK} --hours 48 {option}") for option in WRONG_EXECUTION),
        *(_ends(2, f"{TRADE} {QUICK} --demo {option}") for option in WRONG_EXECUTION[::2]),
        *(_ends(2, f"{MULTI} {QUICK} --demo {option}") for option in WRONG_EXECUTION[1::2]),
    )
    yield _case(
        "errors-signal-and-backtest",
        _ends(2, f"{LSTM} {SAMPLE} --hours 119"),
        _ends(2, f"{LSTM} {SAMPLE} --retrain-threshold -1"),
        _ends(3, f"{LSTM} {SAMPLE} --hours 100000"),
        _ends(2, f"{BACKTESTER} {QUICK} --hours 0"),
        _ends(3, f"{BACKTESTER} {QUICK} --hours 100000"),
        _ends(4, f"{BACKTESTER} {QUICK} --hours 48 --model never_trained"),
        _ends(3, f"{BACKTESTER} {QUICK} --hours 48 --trades nowhere/trades.csv"),
        _ends(3, f"{BACKTESTER} {QUICK} --hours 48 --signals ."),
        _ends(2, f"{BACKTESTER} {QUICK} --hours 48 --trades one.csv --report one.csv"),
        Step(line=f"{BACKTESTER} {QUICK} --hours 0", code=2),
    )
    yield _case(
        "errors-judging",
        _ends(2, f"crypto-refactor compare {QUICK} --vary colour=red"),
        _ends(2, f"crypto-refactor compare {QUICK} --vary exit=never"),
        _ends(3, f"crypto-refactor compare {QUICK} --csv nowhere/table.csv"),
        _ends(4, f"crypto-refactor compare {QUICK} --hours 48 --ticker BTC/USD --model never_trained"),
        _ends(4, f"crypto-refactor audit {QUICK} --hours 48 --model never_trained"),
        _ends(2, "crypto-refactor evaluate --source sample"),
        _ends(3, "crypto-refactor evaluate --source sample --targets nowhere.csv"),
        _ends(3, "crypto-refactor evaluate --source sample --targets {inputs}/bars/btc_usd_1h.csv"),
        _ends(2, "crypto-refactor evaluate --source sample --targets {inputs}/targets.csv --exit fade"),
        _ends(2, "crypto-refactor evaluate --source sample --targets {inputs}/targets.csv --fee -1"),
        _ends(2, "crypto-refactor evaluate --source sample --targets {inputs}/targets.csv --ticker FOO/USD"),
        _ends(
            2,
            "crypto-refactor evaluate --targets {inputs}/targets.csv --source sample --end 2023-01-01T00:00Z",
        ),
    )
    yield _case(
        "errors-data",
        _ends(2, f"{DATA} --source sample --hours 0"),
        _ends(2, f"{DATA} --source sample --ticker FOO/USD"),
        _ends(2, f"{DATA} --source sample --no-such-option"),
        _ends(3, f"{DATA} --source sample --end 2030-01-01T00:00Z"),
        _ends(3, f"{DATA} --source files --data-dir nowhere"),
        _ends(2, f"{HISTORY} --source sample --hours 0"),
        _ends(2, f"{HISTORY} --source sample --ticker FOO/USD"),
        _ends(3, f"{HISTORY} --source files --data-dir ."),
        _ends(2, f"{MOUNTAIN} --no-such-option"),
        _ends(2, "crypto-refactor download"),
        _ends(2, "crypto-refactor download --data-dir . --ticker FOO/USD"),
        _ends(2, "crypto-refactor download --data-dir . --hours 0"),
        _ends(2, "crypto-refactor models --prune --keep-gb -1"),
        _ends(2, "crypto-refactor models --no-such-option"),
        _ends(2, "crypto-refactor sing"),
    )
    yield _case(
        "errors-trading",
        _ends(5, f"{TRADE} --once"),
        _ends(5, f"{MULTI} --mode once"),
        _ends(2, f"{TRADE} --once --live"),
        _ends(2, f"{TRADE} --once --demo --live {QUICK}"),
        _ends(2, f"{TRADE} --once --source sample"),
        _ends(2, f"{TRADE} --once --venue none"),
        _ends(2, f"{TRADE} --once --demo --replay-hours 5 {QUICK}"),
        _ends(2, f"{TRADE} --demo --replay-hours 0 {QUICK}"),
        _ends(2, f"{TRADE} --demo --replay-delay -1 {QUICK}"),
        _ends(2, f"{TRADE} --demo --once --end 2024-12-31T00:00Z"),
        _ends(4, f"{TRADE} --demo --once --model never_trained {QUICK}"),
        _ends(2, f"{MULTI} --max-workers 0 {QUICK}"),
        _ends(2, f"{MULTI} --max-workers 2 {QUICK}"),
        _ends(2, f"{MULTI} --mode never {QUICK}"),
        _ends(2, f"{MULTI} --live {QUICK}"),
    )
    yield _case(
        "errors-accounts",
        _ends(2, "crypto-refactor close"),
        _ends(2, "crypto-refactor close --all --ticker BTC/USD"),
        "crypto-refactor close --all --json",
        *(
            _ends(2, f"crypto-refactor {name} --no-such-option")
            for name in ("status", "halt", "resume", "trades")
        ),
        _ends(2, "crypto-refactor status --demo --live"),
        _ends(2, "crypto-refactor status --account a --demo"),
        _ends(2, "crypto-refactor trades --live --source sample"),
        _ends(3, "crypto-refactor trades --csv nowhere/trades.csv"),
        _ends(2, "crypto-refactor status --state-dir {inputs}/targets.csv"),
    )


def _on_real_bars() -> Iterator[Case]:
    yield _case(
        "real-signal",
        f"{LSTM} --ticker BTC/USD --hours 240 --source files --data-dir {{bars}} --network small "
        "--end 2024-08-31T00:00Z --json",
        needs="bars",
    )
    yield _case(
        "real-backtest",
        f"{BACKTESTER} --ticker BTC/USD --hours 240 {REAL} --json --trades trades.csv --signals signals.csv",
        f"{BACKTESTER} --ticker BTC/USD --hours 240 {REAL} --venue alpaca --report report.html",
        needs="bars",
    )
    yield _case(
        "real-compare",
        f"crypto-refactor compare --ticker BTC/USD --ticker ETH/USD --hours 240 {REAL} "
        "--vary exit=neutral,fade --json --csv table.csv",
        needs="bars",
    )
    yield _case(
        "real-evaluate",
        "crypto-refactor evaluate --targets {inputs}/targets-2024-06.csv --source files --data-dir {bars} "
        "--json --trades trades.csv",
        needs="bars",
    )
    yield _case(
        "real-replay",
        f"{MULTI} --mode demo --ticker BTC/USD --ticker ETH/USD --replay-hours 48 {REAL} --json",
        f"{TRADE} --once --demo {REAL} --json",
        "crypto-refactor status --json",
        "crypto-refactor trades --csv trades.csv",
        needs="bars",
    )


def write_inputs(folder: Path) -> None:
    """Write the files that cases read: targets, and bars of which BTC/USD has more holes than are accepted."""
    (folder / "bars").mkdir(parents=True)
    _write_targets(folder / "targets.csv", datetime(2024, 12, 20, tzinfo=UTC))
    _write_targets(folder / "targets-2024-06.csv", datetime(2024, 6, 18, tzinfo=UTC))
    _write_bars(folder / "bars" / "btc_usd_1h.csv", price=60_000, holes=0.08)
    _write_bars(folder / "bars" / "eth_usd_1h.csv", price=3_000, holes=0.0)


def _write_targets(path: Path, first: datetime) -> None:
    draw = random.Random(1)  # noqa: S311 - the same every time
    made = (first + timedelta(hours=hour) for hour in range(0, 240, 5))
    rows = [(_stamp(at), draw.choice((-1, 0, 1))) for at in made]
    _write(path, ("made_at", "target"), rows)


def _write_bars(path: Path, *, price: float, holes: float) -> None:
    draw = random.Random(2)  # noqa: S311 - the same every time
    first, close, rows = datetime(2024, 3, 1, tzinfo=UTC), price, []
    for hour in range(2_904):  # to the end of June
        opening, close = close, round(close * (1 + draw.gauss(0, 0.004)), 2)
        high, low = round(max(opening, close) * 1.001, 2), round(min(opening, close) * 0.999, 2)
        hole = draw.random() < holes or (holes and 2_700 <= hour < 2_720)
        if not hole:
            at = _stamp(first + timedelta(hours=hour))
            rows.append((at, opening, high, low, close, round(draw.uniform(1, 50), 3)))
    _write(path, ("timestamp", "open", "high", "low", "close", "volume"), rows)


def _write(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
