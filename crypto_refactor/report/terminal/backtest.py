"""A backtest, or an evaluation of external targets, in the terminal: the verdict, the metrics, what explains them."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.backtest.significance.input_importance import InputImportance
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report import commentary, forecast_text
from crypto_refactor.report.formatting import UNDEFINED, number, percent, simulated_mark
from crypto_refactor.report.hour_remarks import account_columns, hour_warning
from crypto_refactor.report.metric_rows import METRIC_ROWS, correlation_text, hit_rate_text
from crypto_refactor.report.terminal.audit import audit_block
from crypto_refactor.report.terminal.tables import plain_table
from crypto_refactor.signals.condition_catalogue import FORECAST, descriptions_of


def print_backtest(result: BacktestResult, tz: ZoneInfo, console: Console) -> None:
    """Print a backtest, times in `tz`."""
    count, blocked, *others = commentary.signal_remarks(result)
    _print(
        console,
        *_verdict(result, tz),
        *_heading("Backtest", result, tz),
        _models_text(result),
        "",
        metrics_table(result),
        "",
        *commentary.backtest_remarks(result, tz),
        *commentary.no_break_even(result),
        "",
        _models_table(result, tz),
        "",
        Text("Signals", style="bold"),
        f"{count} {blocked}",
        *others,
        *commentary.position_lines(result, tz),
        "",
        _conditions_table(result),
        "",
        _correlation_table(result),
        *_importance(result.importance),
        "",
        commentary.pending_text(result, tz),
        commentary.repeat_text(result),
    )


def print_evaluation(result: EvaluationResult, tz: ZoneInfo, console: Console) -> None:
    """Print an evaluation of external targets, times in `tz`."""
    targets, *others = commentary.target_remarks(result, tz)
    _print(
        console,
        *_warning(result),
        *_verdict(result, tz),
        *_heading("Evaluation of targets", result, tz),
        f"Targets: {targets}",
        *others,
        "",
        metrics_table(result),
        "",
        *commentary.evaluation_remarks(result, tz),
        *commentary.no_break_even(result),
        commentary.CANNOT_BE_AUDITED,
        "",
        *commentary.position_lines(result, tz),
        commentary.pending_text(result, tz),
        commentary.repeat_text(result),
    )


def metrics_table(result: RunResult) -> Table:
    """Return the metrics of every account, and the figures that the verdict rests on."""
    columns = account_columns(result)
    table = plain_table("", *columns, left=("",), wrap=("",))
    for row in METRIC_ROWS:
        table.add_row(row.label, *map(row.text, columns.values()))
    if result.significance is not None:
        for label, text in _significance_rows(result.significance):
            table.add_row(label, text)
    return table


def _print(console: Console, *parts: RenderableType) -> None:
    # No markup: a path or a name may hold square brackets.
    console.print(Group(*parts), highlight=False, markup=False)


def _warning(result: EvaluationResult) -> list[RenderableType]:
    warning = hour_warning(result)
    return [] if warning is None else [Text(warning, style="bold"), ""]


def _verdict(result: RunResult, tz: ZoneInfo) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if result.verdict is not None:
        lines.append(Text(result.verdict.text, style="bold"))
        lines += forecast_text.part_verdicts(result.verdict)
        lines += commentary.earlier_trials_text(result)
    if isinstance(result, BacktestResult) and result.audit is not None:
        audit = result.audit
        lines += [commentary.audit_line(audit)] if audit.passed else audit_block(audit, tz)
    return [*lines, ""] if lines else []


def _heading(kind: str, result: RunResult, tz: ZoneInfo) -> list[RenderableType]:
    mark = simulated_mark(simulated=result.window.simulated)
    return [
        Text(f"{kind} {result.ticker}{mark}", style="bold"),
        commentary.window_text(result.window, tz),
        commentary.rules_text(result.requested.rules),
    ]


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
        span = " to ".join(percent(end, 1, signed=True) for end in interval)
    rows = [
        ("Return, 95 % interval", span),
        ("Random entry, p", number(None if entry is None else entry.p, 3)),
        ("Break-even fee", percent(significance.break_even.fee, 3)),
    ]
    if significance.skill is not None:
        rows.append(("Rank IC ± SE", correlation_text(significance.skill.model.spearman)))
        rows.append(("Direction right", hit_rate_text(significance.skill.model.hit_rate)))
    return rows


def _models_table(result: BacktestResult, tz: ZoneInfo) -> Table:
    count = len({period.model.path for period in result.walk.periods})
    title = f"Models: {count} ({result.walk.trained or 'none'} trained for this run)"
    if result.pinned is not None:
        title = f"Pinned model: {result.pinned}"
    names = (
        "Signals from",
        "to",
        "Trained through",
        "Direction ± SE",
        "Stop loss / zero",
        "Network",
        "Weights",
    )
    table = plain_table(*names, left=names, wrap=names, title=title)
    for period in result.walk.periods:
        card = period.model.card
        table.add_row(
            to_local_text(period.period.first, tz),
            to_local_text(period.period.last, tz),
            to_local_text(card.trained_through, tz),
            f"{number(card.evidence.slope)} ± {number(card.evidence.slope_se)}",
            number(card.stop_loss_ratio, 4),
            forecast_text.residual_text(card.residual_decision),
            card.fingerprint,
        )
    return table


def _conditions_table(result: BacktestResult) -> Table:
    names = ("", "Condition (long)")
    figures = ("True for long", "True for short", "Vetoes", "Held", "Next hour right")
    table = plain_table(*names, *figures, left=names, wrap=names, title="Conditions")
    descriptions = descriptions_of(result.settings.plugins)
    for name, condition in result.diagnostics.conditions.items():
        table.add_row(
            name,
            descriptions[name][0],
            percent(condition.long_pass_rate, 1),
            percent(condition.short_pass_rate, 1),
            UNDEFINED if name == FORECAST else str(condition.vetoes),
            f"{condition.held:,}",
            percent(condition.right, 1),
        )
    return table


def _correlation_table(result: BacktestResult) -> Table:
    title = "Correlation of each feature with the next return (* beyond the noise)"
    table = plain_table("", "In training", "Out of sample", "Noise", left=("",), wrap=("",), title=title)
    for name, figure in result.diagnostics.correlations.items():
        table.add_row(
            name,
            number(figure.train, 3),
            number(figure.out_of_sample, 3) + (" *" if figure.beyond_noise else "  "),
            f"± {number(figure.noise, 3)}",
        )
    return table


def _importance(importance: Mapping[str, InputImportance] | None) -> list[RenderableType]:
    if importance is None:
        return []
    title = "Rise of the loss, in ‰ of the zero forecast's, when one input is taken from other days (* two errors)"
    table = plain_table("", "Rise", "Error", left=("",), wrap=("",), title=title)
    for name, figure in importance.items():
        rise, error = (None if value is None else 1000 * value for value in (figure.loss_rise, figure.se))
        table.add_row(name, number(rise, 2) + (" *" if figure.clear else "  "), f"± {number(error, 2)}")
    return ["", table]
