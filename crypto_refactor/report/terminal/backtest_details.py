"""Everything behind a run in the terminal: every figure, the models, the signals, conditions and features."""

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.backtest.significance.input_importance import InputImportance
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report import commentary, forecast_text
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.hour_remarks import account_columns
from crypto_refactor.report.metric_rows import METRIC_ROWS, correlation_text, hit_rate_text
from crypto_refactor.report.short_tables import Table
from crypto_refactor.report.terminal.wrapping import table_lines, wrapped
from crypto_refactor.signals.condition_catalogue import FORECAST, descriptions_of


def run_details(result: RunResult, tz: ZoneInfo, width: int) -> list[str]:
    """Return everything behind a run, times in `tz`."""
    lines = _prose(_about(result, tz), width)
    lines += ["", *table_lines(_metrics(result), width=width), ""]
    if isinstance(result, BacktestResult):
        return [*lines, *_of_backtest(result, tz, width)]
    assert isinstance(result, EvaluationResult)
    remarks = [
        *commentary.target_remarks(result, tz),
        *commentary.evaluation_remarks(result, tz),
        *commentary.no_break_even(result),
        *commentary.position_lines(result, tz),
    ]
    return [*lines, *_prose(remarks, width)]


def _prose(texts: Iterable[str], width: int) -> list[str]:
    return [line for text in texts for line in wrapped(text, width, 2)]


def _about(result: RunResult, tz: ZoneInfo) -> list[str]:
    """State the verdicts on forecasts and trades, earlier trials, the window, the rules and the models."""
    lines = [] if result.verdict is None else forecast_text.part_verdicts(result.verdict)
    lines += commentary.earlier_trials_text(result)
    if isinstance(result, BacktestResult) and result.audit is not None:
        lines.append(commentary.audit_line(result.audit))
    lines.append(f"Window: {commentary.window_text(result.window, tz)}.")
    lines.append(commentary.rules_text(result.requested.rules))
    if isinstance(result, BacktestResult):
        lines.append(_models_text(result))
    return lines


def _of_backtest(result: BacktestResult, tz: ZoneInfo, width: int) -> list[str]:
    lines = _prose([*commentary.backtest_remarks(result, tz), *commentary.no_break_even(result)], width)
    count = len({period.model.path for period in result.walk.periods})
    title = f"Models: {count} ({result.walk.trained or 'none'} trained for this run)"
    if result.pinned is not None:
        title = f"Pinned model: {result.pinned}"
    lines += ["", title, *table_lines(_models(result, tz), width=width), "", "Signals"]
    lines += _prose([*commentary.signal_remarks(result), *commentary.position_lines(result, tz)], width)
    lines += [
        "",
        *wrapped("Conditions: on how many of 100 closes each holds, and is right about the next hour", width),
    ]
    lines += table_lines(_conditions(result), width=width)
    lines += ["", *wrapped("Correlation of each feature with the next return (* beyond the noise)", width)]
    lines += table_lines(_correlations(result), width=width)
    if result.importance is not None:
        lines.append("")
        title = "Rise of the loss, in ‰ of the zero forecast's, when one input is taken from other days (* two errors)"
        lines += [*wrapped(title, width), *table_lines(_importance(result.importance), width=width)]
    return lines


def _metrics(result: RunResult) -> Table:
    """Return every metric of every account, and the figures that the verdict rests on."""
    columns = account_columns(result)
    blank = ("",) * (len(columns) - 1)
    rows = [
        (
            f"{row.label}, {result.ticker.quote}" if row.is_money else row.label,
            *map(row.text, columns.values()),
        )
        for row in METRIC_ROWS
    ]
    if result.significance is not None:
        rows += [(label, text, *blank) for label, text in _significance_rows(result.significance)]
    return Table(1, ("", *columns), rows)


def _models_text(result: BacktestResult) -> str:
    card = result.walk.periods[0].model.card
    if result.pinned is None:
        schedule = commentary.schedule_text(result.settings)
    else:
        schedule = f"pinned, trained on {card.rows:,} rows"
    return f"{commentary.models_text(card, schedule, result.signal_rules, result.settings.plugins)}."


def _significance_rows(significance: Significance) -> list[tuple[str, str]]:
    interval, entry = significance.intervals.total_return, significance.random_entry
    span = UNDEFINED
    if interval is not None:
        span = " to ".join(f"{end * 100:+,.1f}" for end in interval) + " %"
    rows = [
        ("Return, 95 % interval", span),
        ("Random entry, p", number(None if entry is None else entry.p, 3)),
        ("Break-even fee", percent(significance.break_even.fee, 3)),
    ]
    if significance.skill is not None:
        rows.append(("Rank IC ± SE", correlation_text(significance.skill.model.spearman)))
        rows.append(("Direction right", hit_rate_text(significance.skill.model.hit_rate)))
    return rows


def _models(result: BacktestResult, tz: ZoneInfo) -> Table:
    header = ("Signals from", "to", "Trained through", "Slope ± SE", "Error / no move", "Network", "Weights")
    rows = []
    for period in result.walk.periods:
        card = period.model.card
        hours = (period.period.first, period.period.last, card.trained_through)
        rows.append(
            (
                *(to_local_text(hour, tz) for hour in hours),
                f"{number(card.evidence.slope)} ± {number(card.evidence.slope_se)}",
                number(card.stop_loss_ratio, 4),
                forecast_text.residual_text(card.residual_decision),
                card.fingerprint,
            )
        )
    return Table(1, header, rows)


def _conditions(result: BacktestResult) -> Table:
    descriptions = descriptions_of(result.settings.plugins)
    rows: list[tuple[str, ...]] = [
        (
            name,
            descriptions[name][0],
            _points(condition.long_pass_rate),
            _points(condition.short_pass_rate),
            UNDEFINED if name == FORECAST else str(condition.vetoes),
            f"{condition.held:,}",
            _points(condition.right),
        )
        for name, condition in result.diagnostics.conditions.items()
    ]
    return Table(2, ("", "Condition (long)", "Long", "Short", "Vetoes", "Held", "Right"), rows)


def _points(share: float | None) -> str:
    """Return a share in per cent, without its unit."""
    return UNDEFINED if share is None else number(share * 100, 1)


def _correlations(result: BacktestResult) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            name,
            number(figure.train, 3),
            number(figure.out_of_sample, 3) + (" *" if figure.beyond_noise else "  "),
            f"± {number(figure.noise, 3)}",
        )
        for name, figure in result.diagnostics.correlations.items()
    ]
    return Table(1, ("", "In training", "Out of sample", "Noise"), rows)


def _importance(importance: Mapping[str, InputImportance]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, figure in importance.items():
        rise, error = (None if value is None else 1000 * value for value in (figure.loss_rise, figure.se))
        rows.append((name, number(rise, 2) + (" *" if figure.clear else "  "), f"± {number(error, 2)}"))
    return Table(1, ("", "Rise", "Error"), rows)
