"""Closes that cannot be prices, as a user meets them in every command that reads bars."""

from __future__ import annotations

import numpy as np
import pytest
from support.cli_runner import Home
from support.jumps import planted
from support.stub_models import sample_bars

from crypto_refactor.market.hours import to_iso

END = 1400
ROW = END - 40
HOURS = 72
"""Hours of the window; the jump lies within it."""


@pytest.fixture(scope="module")
def bars():
    return sample_bars(END)


@pytest.fixture
def folder(bars, tmp_path):
    def write(kind):
        drawn = bars if kind is None else planted(bars, ROW)[kind]
        lines = ["timestamp,open,high,low,close,volume"]
        for row in range(len(drawn)):
            values = (
                repr(float(getattr(drawn, name)[row])) for name in ("open", "high", "low", "close", "volume")
            )
            lines.append(",".join([to_iso(int(drawn.opened[row])), *values]))
        (tmp_path / "btc_usd_1h.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        closed = bars.closed[-HOURS:]
        targets = [f"{to_iso(int(hour))},{int(hour) // 24 % 2}" for hour in closed]
        (tmp_path / "targets.csv").write_text("\n".join(["made_at,target", *targets]) + "\n")
        return tmp_path

    return write


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def line(command, folder, *more):
    return " ".join(["crypto-refactor", command, "--source files --data-dir", str(folder), *more])


def evaluation(folder, *more):
    return line("evaluate", folder, "--targets", str(folder / "targets.csv"), *more)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bad tick", "decimal point", "redenomination"])
def test_evaluate_refuses_them_and_with_allow_jumps_counts_none(home, folder, bars, kind):
    clean = home.json(evaluation(folder(None)))
    where = folder(kind)
    refused = home.json(evaluation(where), code=3)
    assert to_iso(int(bars.opened[ROW])) in refused["error"]["message"]
    allowed = home.json(evaluation(where, "--allow-jumps"))
    (jump,) = allowed["data_quality"]["jumps"]
    assert (jump["opened"], jump["counted"]) == (to_iso(int(bars.opened[ROW])), 0)
    for account in ("metrics", "at_alpaca", "buy_and_hold"):
        assert allowed[account]["total_return"] == pytest.approx(clean[account]["total_return"], abs=0.02)
        assert allowed[account]["sharpe"] == pytest.approx(clean[account]["sharpe"], abs=1.0)
    assert allowed["halted_at"] is None
    text = home.run(evaluation(where, "--allow-jumps")).stdout
    assert f"Jump in the bar that opened {to_iso(int(bars.opened[ROW]))}" in " ".join(text.split())


def test_data_names_them_and_check_history_fails(home, folder, bars):
    where = folder("redenomination")
    shown = home.run(line("data", where))
    assert "level break" in " ".join(shown.stdout.split())
    document = home.json(line("data", where))
    (jump,) = document["quality"]["jumps"]
    assert (jump["kind"], jump["opened"]) == ("level_break", to_iso(int(bars.opened[ROW])))
    assert jump["move"] == pytest.approx(9, abs=0.2)
    checked = home.run(line("check-history", where), code=3)
    assert "FAILED  prices are plausible" in checked.stdout
    home.run(line("check-history", folder("crash")))


def test_a_high_that_is_false_alarms_nobody(home, folder, bars):
    where = folder(None)
    file = where / "btc_usd_1h.csv"
    lines = file.read_text().splitlines()
    cells = lines[ROW + 1].split(",")
    cells[2] = repr(float(np.max(bars.high)) * 3)
    lines[ROW + 1] = ",".join(cells)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    home.run(evaluation(where))
    home.run(line("check-history", where))


def test_no_signal_is_given_on_a_close_that_no_bar_has_confirmed(home, folder, bars):
    asked = line("signal", folder("crash"), "--network linear --end", to_iso(int(bars.closed[ROW])))
    assert "jumps" in home.json(asked, code=3)["error"]["message"]
