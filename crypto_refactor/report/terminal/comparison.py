"""A comparison in the terminal: one ranked table, the portfolios, and what chance alone would show."""

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from crypto_refactor.backtest.comparison.dropped import FailedTicker
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.selection import HeldOutTest
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.report.comparison_notes import comparison_notes, shared_rules
from crypto_refactor.report.formatting import UNDEFINED, money, percent, simulated_mark
from crypto_refactor.report.metric_rows import sharpe_text
from crypto_refactor.report.terminal.held_out import held_out_lines
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, room_of, unit_line
from crypto_refactor.report.terminal.wrapping import MAX_PROSE, command_lines
from crypto_refactor.report.verdict_lines import comparison_answer, counted, has_traded, span_text
from crypto_refactor.signals.condition_catalogue import conditions_of, volume_hint

_SHARPE = 3
"""Where the Sharpe ratio stands among the figures."""
_NEVER_TRADED = "never traded"


def print_comparison(
    comparison: Comparison,
    tz: ZoneInfo,
    console: Console,
    held_out: HeldOutTest | None = None,
    *,
    wide: bool = False,
    again: Sequence[str] = (),
) -> None:
    """Print a comparison, times in `tz`; where it is the choice of `held_out`, the test of what it chose too.

    `again` is the command that repeats it.
    """
    room = room_of(console, wide=wide)
    parts = _heading(comparison, tz, held_out)
    if comparison.trials:
        parts += [*_table(comparison).lines(room), "", *_notes(comparison)]
    if held_out is not None:
        parts += held_out_lines(held_out, tz, room)
    parts += [f"Left out: {_where(gone.ticker, gone.where)}: {gone.why}" for gone in comparison.unavailable]
    parts += _failures(comparison.failed)
    print_lines(console, parts)
    for line in command_lines("Again", again, room or MAX_PROSE) if again else ():
        console.print(Text(line), soft_wrap=True)


def _heading(comparison: Comparison, tz: ZoneInfo, held_out: HeldOutTest | None) -> list[str | Text]:
    if not comparison.trials:
        return []  # what was left out or failed says it all
    request, end = comparison.request, comparison.end
    mark = simulated_mark(simulated=request.source.name == SAMPLE)
    tickers, settings = counted(len(request.tickers), "ticker"), counted(len(request.settings), "setting")
    title = f"Comparison of {tickers} with {settings}, ranked by Sharpe ratio{mark}"
    lines: list[str | Text] = [
        Text(comparison_answer(comparison), style="bold"),
        Text(title, style="bold"),
    ]
    if end is not None:
        lines.append(span_text(comparison, end, tz))
    if held_out is not None:
        lines.append(
            f"These are the first {percent(held_out.fraction, 0)} of the hours, which choose; the rest tests."
        )
    return [*lines, *shared_rules(comparison), ""]


def _notes(comparison: Comparison) -> list[str | Text]:
    notes = [
        Text(note.text, style="bold") if note.strong else note.text for note in comparison_notes(comparison)
    ]
    return [*notes, *_volume_hints(comparison)]


def _volume_hints(comparison: Comparison) -> list[str]:
    silent = {
        (
            trial.ticker,
            trial.parameter_set.signal_rules.min_confirmations,
            len(conditions_of(trial.parameter_set.settings.plugins)),
        )
        for trial in comparison.trials
        if not trial.prepared.window.volume.any()
    }
    return [f"{ticker}: {volume_hint(*numbers)}" for ticker, *numbers in sorted(silent, key=str)]


def _columns(unit: str) -> tuple[Column, ...]:
    return (
        Column("#"),
        Column("ticker", left=True),
        Column("setting", left=True, wraps=True),
        Column("return\n%", signed=True),
        Column("at\nAlpaca\n%", hide=5, signed=True),
        Column("buy and\nhold\n%", hide=6, signed=True),
        Column("Sharpe ± SE", hide=8),
        Column("max draw-\ndown\n%", hide=4),
        Column("trades", hide=7),
        Column("won\n%", hide=3),
        Column(f"fees{unit}", hide=2),
        Column("in the\nmarket\n%", hide=1),
    )


def _table(comparison: Comparison) -> FittedTable:
    columns = _columns(unit_line(trial.ticker for trial in comparison.trials))
    table = FittedTable(*columns, all_in="--wide, --csv FILE", gap=1)
    for rank, trial in enumerate(comparison.trials, start=1):
        cells = _figures(*trial.scenarios.metrics)
        traded = has_traded(trial)
        if not traded:
            cells[_SHARPE] = _NEVER_TRADED
        place = str(rank) if traded else UNDEFINED
        table.add(place, str(trial.ticker), trial.parameter_set.label, *cells)
    sums = [portfolio for portfolio in comparison.portfolios if len(portfolio.tickers) > 1]
    if sums:
        table.add()
    for portfolio in sums:
        cells = _figures(portfolio.metrics, portfolio.alpaca_metrics, portfolio.hold_metrics)
        table.add("", f"sum of {len(portfolio.tickers)}", portfolio.parameter_set.label, *cells)
    return table


def _figures(requested: Metrics, alpaca: Metrics | None, buy_and_hold: Metrics) -> list[str]:
    return [
        _per_cent(requested.total_return),
        _per_cent(None if alpaca is None else alpaca.total_return),
        _per_cent(buy_and_hold.total_return),
        sharpe_text(requested),
        f"{requested.max_drawdown * 100:.2f}",
        str(requested.trades),
        UNDEFINED if requested.win_rate is None else f"{requested.win_rate * 100:.0f}",
        money(requested.fees_paid),
        f"{requested.exposure * 100:.0f}",
    ]


def _per_cent(value: float | None) -> str:
    """Return a fraction in per cent without the unit, which the heading states."""
    return UNDEFINED if value is None else f"{value * 100:+,.2f}"


def _where(ticker: object, where: str) -> str:
    return f"{ticker} ({where})" if where else str(ticker)


def _failures(failures: Iterable[FailedTicker]) -> list[str]:
    """Return a text for each error, with every ticker that ended in it."""
    alike: dict[str, list[FailedTicker]] = {}
    for failed in failures:
        alike.setdefault(failed.error.to_text().replace(str(failed.ticker), ""), []).append(failed)
    return [
        line
        for group in alike.values()
        for line in (
            f"Failed: {', '.join(_where(each.ticker, each.where) for each in group)}: {group[0].error.to_text()}"
        ).splitlines()
    ]
