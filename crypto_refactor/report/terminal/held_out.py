"""What was chosen on the first part of a window, on the rest of it, in the terminal."""

from zoneinfo import ZoneInfo

from rich.text import Text

from crypto_refactor.backtest.comparison.selection import HeldOutTest
from crypto_refactor.backtest.comparison.trials import Trial
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report import commentary, forecast_text
from crypto_refactor.report.formatting import UNDEFINED, percent
from crypto_refactor.report.metric_rows import sharpe_text
from crypto_refactor.report.terminal.tables import Column, FittedTable

_COLUMNS = (
    Column("", left=True, wraps=True),
    Column("return", signed=True),
    Column("Sharpe ± SE", hide=2),
    Column("max\ndrawdown", hide=1),
    Column("trades", hide=3),
)


def held_out_lines(held_out: HeldOutTest, tz: ZoneInfo, room: int | None) -> list[str | Text]:
    """State the choice, and what it came to on hours that it never saw; the table has `room` columns, or all it takes."""
    picked, rest = held_out.choice_trial, held_out.rest
    if picked is None or rest is None or rest.end is None:
        return ["", Text("Nothing was chosen: no trial has a Sharpe ratio on these hours.", style="bold"), ""]
    first, last = to_local_text(rest.end - rest.request.hours, tz), to_local_text(rest.end, tz)
    lines: list[str | Text] = [
        "",
        Text(f"Chosen on the hours above: {_name(picked)}", style="bold"),
        f"Tested on the rest, which the choice never saw: {first} to {last}, {rest.request.hours:,} hours, from cash.",
    ]
    result = held_out.chosen
    if result is None:
        return [*lines, "It could not be tested there.", *_failures(held_out), ""]
    lines += ["", *_table(held_out, picked, result).lines(room), ""]
    if result.verdict is not None:
        lines += [Text(result.verdict.text, style="bold"), *forecast_text.part_verdicts(result.verdict)]
        lines += commentary.earlier_trials_text(result)
    lines.append(
        f"Among all trials on the rest, the chosen one is number {held_out.rank} of {len(rest.trials)}."
    )
    return [*lines, *_failures(held_out), ""]


def _failures(held_out: HeldOutTest) -> list[str]:
    failed = () if held_out.rest is None else held_out.rest.failed
    return [
        line
        for each in failed
        for line in f"Failed on the rest: {each.ticker} {each.where}: {each.error.to_text()}".splitlines()
    ]


def _table(held_out: HeldOutTest, picked: Trial, result: BacktestResult) -> FittedTable:
    best = held_out.best_in_hindsight
    table = FittedTable(*_COLUMNS, all_in="--wide")
    table.add("chosen, on the hours that chose it", *_cells(picked.scenarios.requested.metrics))
    table.add("chosen, on the rest", *_cells(result.requested.metrics))
    table.add("buy and hold, on the rest", *_cells(result.buy_and_hold.metrics))
    name = "best in hindsight" if best is None else f"best in hindsight: {_name(best)}"
    cells = [UNDEFINED] * (len(_COLUMNS) - 1) if best is None else _cells(best.scenarios.requested.metrics)
    table.add(name, *cells)
    return table


def _cells(metrics: Metrics) -> list[str]:
    return [
        percent(metrics.total_return, signed=True),
        sharpe_text(metrics),
        percent(metrics.max_drawdown),
        str(metrics.trades),
    ]


def _name(trial: Trial) -> str:
    return f"{trial.ticker}, {trial.parameter_set.label}"
