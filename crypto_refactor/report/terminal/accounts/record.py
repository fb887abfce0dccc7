"""The record of forecasts in the terminal."""

from collections.abc import Sequence

from rich.console import Console

from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.forecast_text import outcome_lines, record_line, sentence
from crypto_refactor.report.formatting import UNDEFINED, number, percent, simulated_mark
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, print_table
from crypto_refactor.trading.record.martingales import ALARM, EVIDENCE
from crypto_refactor.trading.record.record import SeriesRecord
from crypto_refactor.trading.record.scores import NOMINAL_COVERAGE, Score, ScoreGroup

_MOST_MODELS = 12


def print_record(record: SeriesRecord, console: Console, *, simulated: bool, wide: bool = False) -> None:
    """Print the record of a series: its last line, its figures, and tables by confidence, ticker, month and model."""
    first, last = (record.forecasts[at].record.bar for at in (0, -1))
    _print_lines(
        console,
        f"{record.series}{simulated_mark(simulated=simulated)}",
        f"{len(record.forecasts):,} forecast{'s' * (len(record.forecasts) > 1)}, {_minute(first)} to {_minute(last)} UTC, "
        f"{record.score.n:,} scored",
        *(f"  {line}" for line in outcome_lines(record)),
        "",
        sentence(record_line(record)),
    )
    if not record.score.n:
        return
    _print_lines(console, "", *_figures(record.score), *_sequential(record))
    if record.score.calibration.bins:
        print_lines(console, [""])
        print_table(console, _calibration_table(record.score), wide=wide)
    for title, groups in (("ticker", record.by_ticker), ("month", record.by_month)):
        _print_groups(console, title, groups, wide=wide)
    models = record.by_model[-_MOST_MODELS:]
    _print_groups(console, "model", models, wide=wide)
    hidden = len(record.by_model) - len(models)
    if hidden:
        _print_lines(console, f"{hidden} earlier models are in --json only.")


def _figures(score: Score) -> list[str]:
    hit, coverage, correlation = score.hit_rate, score.coverage, score.rank_correlation
    lines = ["Direction         none was stated"]
    if hit is not None:
        right = f"{score.right:,} of {score.stated:,} right: {_share(hit.value, hit.se)}"
        lines = [f"Direction         {right}, stated {number(score.stated_confidence, 3)}"]
    if score.silent:
        right = f"{score.silent_right:,} of {score.silent_directed:,} right"
        lines.append(f"Says nothing      {score.silent:,} (confidence 0.50): {right}")
    lines.append(f"Rank correlation  {_share(correlation.value, correlation.se)}")
    error, of_zero = percent(score.rmse, 3), percent(score.zero_rmse, 3)
    ratio = number(score.rmse_ratio, 4)
    lines.append(f"Error             {error}, of forecasting no move {of_zero}: {ratio} times")
    if coverage is not None:
        held = f"held {_share(coverage.value, coverage.se)} of {score.with_interval:,} closes"
        lines.append(f"90 % interval     {held}, {NOMINAL_COVERAGE:.2f} meant")
    return lines


def _sequential(record: SeriesRecord) -> list[str]:
    reached = record.score.evidence_at
    evidence = "not reached" if reached is None else f"reached {_minute(reached)}"
    alarms = ", ".join(_minute(at) for at in record.alarms[-3:]) or "none"
    return [
        f"Evidence          {record.score.product:,.2f} from 1 unit bet on the stated directions; {EVIDENCE:.0f} shows skill: {evidence}",
        f"Alarm             {alarms}; the detector stands at {record.detector:,.0f} and raises one at {ALARM:,.0f}",
    ]


def _calibration_table(score: Score) -> FittedTable:
    names = Column("confidence", left=True), Column("n"), Column("stated"), Column("came true")
    table = FittedTable(*names, all_in="--wide")
    for each in score.calibration.bins:
        table.add(
            f"{each.low:.2f} to {each.high:.2f}", f"{each.n:,}", f"{each.stated:.3f}", f"{each.observed:.3f}"
        )
    return table


def _print_groups(console: Console, title: str, groups: Sequence[ScoreGroup], *, wide: bool) -> None:
    table = FittedTable(
        Column(title, left=True),
        Column("n"),
        Column("stated", hide=5),
        Column("right", hide=4),
        Column("share"),
        Column("±"),
        Column("said"),
        Column("rank\ncorr.", hide=3),
        Column("error\nratio", hide=2),
        Column("in\n90 %", hide=1),
        Column("evi-\ndence"),
        all_in="--wide",
        gap=1,
    )
    for group in groups:
        score = group.score
        hit, coverage = score.hit_rate, score.coverage
        table.add(
            group.name,
            f"{score.n:,}",
            f"{score.stated:,}",
            f"{score.right:,}",
            number(None if hit is None else hit.value, 3),
            number(None if hit is None else hit.se, 3),
            number(score.stated_confidence, 3),
            number(score.rank_correlation.value, 3),
            number(score.rmse_ratio, 3),
            number(None if coverage is None else coverage.value),
            f"{score.product:.3g}",
        )
    print_lines(console, [""])
    print_table(console, table, wide=wide)


def _share(value: float | None, error: float | None) -> str:
    if value is None:
        return UNDEFINED
    return f"{value:.3f}" + ("" if error is None else f" ± {error:.3f}")


def _minute(hour: int) -> str:
    return to_iso(hour)[:16].replace("T", " ")


def _print_lines(console: Console, *lines: str) -> None:
    print_lines(console, lines)
