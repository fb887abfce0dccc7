"""The verdict first: plain words, then the few figures that carry it, then the figures of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crypto_refactor.backtest.audit.findings import Audit
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.verdict import EVIDENCE, NO_EVIDENCE, TOO_FEW
from crypto_refactor.report.formatting import UNDEFINED, money, number, percent
from crypto_refactor.report.html.markup import Html, join, tag, unbroken
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.sections.significance import correlation_text, interval_text
from crypto_refactor.report.html.tables import Cell, numbers, signed_look, table, words
from crypto_refactor.report.rules_summary import rules_text

_HEADLINES = {
    EVIDENCE: ("✓", "Evidence of an edge"),
    NO_EVIDENCE: ("–", "No evidence of an edge"),
    TOO_FEW: ("?", "Too little to judge"),
}


def verdict_section(
    context: PageContext[RunResult], *, audit: Audit | None = None, caveat: str | None = None
) -> Section:
    """Return what the run says, in words anyone understands.

    Parameters
    ----------
    context : PageContext
        The run.
    audit : Audit or None
        Of the run, where there was one: a failed one comes before every verdict.
    caveat : str or None
        What no figure can tell.
    """
    found = context.verdict
    look, mark, headline = _look(context, audit)
    reasons = "Whether luck alone explains this result was not tested." if found is None else found.text
    box = tag(
        "div",
        tag("div", mark, class_="mark", aria_hidden="true"),
        tag(
            "div",
            tag("p", headline, class_="headline"),
            tag("p", unbroken(outcome_text(context))),
            tag("p", reasons),
            tag("p", caveat) if caveat is not None else Html(""),
        ),
        class_=f"verdict {look}",
    )
    return Section(name="verdict", title="Verdict", body=join(box, _tiles(context)))


def _look(context: PageContext[RunResult], audit: Audit | None) -> tuple[str, str, str]:
    """Return the class of the box, its mark and its headline."""
    if audit is not None and not audit.passed:
        return "failed", "!", "The audit failed: do not believe these figures"
    if context.verdict is None:
        return "unjudged", "?", "Not tested against luck"
    code = context.verdict.code
    return code.replace("_", "-"), *_HEADLINES[code]


def outcome_text(context: PageContext[RunResult]) -> str:
    """Return one sentence on what came of this run, beside buying and holding."""
    result = context.result
    metrics, hold = result.requested.metrics, result.buy_and_hold.metrics
    days = result.hours / 24
    span = f"{result.hours:,} hours" if days < 3 else f"{days:,.0f} days"
    text = (
        f"In {span} this run {_moved(metrics.total_return)} after fees of {money(metrics.fees_paid)} "
        f"{context.quote}; buying {result.ticker.base} and holding it {_moved(hold.total_return)}."
    )
    if result.alpaca is not None:
        text += f" An Alpaca account would have {_moved(result.alpaca.metrics.total_return)}."
    return text


def _moved(change: float) -> str:
    if change == 0:
        return "kept its value"
    return f"{'gained' if change > 0 else 'lost'} {percent(abs(change))}"


def _tiles(context: PageContext[RunResult]) -> Html:
    """Return the figures that carry the verdict: three, and a fourth where there were forecasts."""
    found = context.significance
    if found is None:
        return Html("")
    entry, fee = found.random_entry, found.break_even.fee
    tiles = [
        (
            "Return, 95 % interval",
            interval_text(found.intervals.total_return, percent),
            "from its hours, drawn again in blocks",
        ),
        (
            "Random entries do as well",
            UNDEFINED if entry is None else percent(entry.p, 1),
            "of the time, with the same trades",
        ),
        (
            "Break-even fee",
            "none" if fee is None else f"{percent(fee, 3)} a fill",
            found.break_even.reason or f"this run paid {percent(context.result.requested.rules.fee)}",
        ),
    ]
    if found.skill is not None:
        ic = correlation_text(found.skill.model.spearman, 3)
        tiles.append(("Forecast skill (rank IC)", ic, "0 is none; ± one standard error"))
    shown = (
        tag("div", tag("dt", title), tag("dd", unbroken(value), tag("small", hint)))
        for title, value, hint in tiles
    )
    return tag("dl", *shown, class_="tiles")


_Show = Callable[[Metrics], str]
_FIGURES: tuple[tuple[str, str, _Show], ...] = (
    ("Total return", "after fees", lambda m: percent(m.total_return, signed=True)),
    ("Final balance", "position marked at the last close", lambda m: money(m.final_balance)),
    ("CAGR", "growth a year, withheld below 90 days", lambda m: percent(m.cagr, signed=True)),
    ("Volatility", "a year, from hourly returns", lambda m: percent(m.volatility)),
    ("Sharpe ratio", "a year, ± standard error", lambda m: _with_error(m.sharpe, m.sharpe_se)),
    ("Sortino ratio", "a year, downside over all bars", lambda m: number(m.sortino)),
    ("Max drawdown", "at hourly closes", lambda m: percent(m.max_drawdown)),
    ("Drawdown length", "peak to recovery, or to the end", lambda m: f"{m.max_drawdown_hours:,} h"),
    ("Calmar ratio", "CAGR / max drawdown", lambda m: number(m.calmar)),
    ("Trades closed", "what is still held is not counted", lambda m: f"{m.trades:,}"),
    ("Win rate", "after fees", lambda m: percent(m.win_rate, 1)),
    ("Profit factor", "won / lost, after fees", lambda m: number(m.profit_factor)),
    ("Expectancy", "money a trade, after fees", lambda m: money(m.expectancy)),
    ("Average holding", "", lambda m: _hours(m.avg_holding_hours)),
    ("Exposure", "share of closes with a position", lambda m: percent(m.exposure, 1)),
    ("Turnover", "traded notional / mean equity", lambda m: f"{m.turnover:,.1f} ×"),
    ("Fees paid", "borrow included", lambda m: money(m.fees_paid)),
)
_MONEY = {"Final balance", "Expectancy", "Fees paid"}


def _with_error(value: float | None, error: float | None) -> str:
    return UNDEFINED if value is None else f"{number(value)} ± {number(error)}"


def _hours(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.1f} h"


def figures_section(context: PageContext[RunResult], remarks: Sequence[str]) -> Section:
    """Return the figures of this run, at Alpaca and of buying and holding, and what one must know beside them."""
    result = context.result
    rows: list[list[object]] = []
    for name, hint, show in _FIGURES:
        label = f"{name}, {context.quote}" if name in _MONEY else name
        cells = [_figure(name, metrics, show) for metrics in result.scenarios.metrics]
        rows.append([join(label, tag("small", hint)), *cells])
    columns = (words("Figure"), numbers("This run"), numbers("At Alpaca"), numbers("Buy and hold"))
    notes = tag("ul", *(tag("li", note) for note in remarks), class_="note")
    body = join(tag("p", rules_text(result.requested.rules)), table("Key figures", columns, rows), notes)
    return Section(name="figures", title="Key figures", body=body)


def _figure(name: str, metrics: Metrics | None, show: _Show) -> Cell:
    if metrics is None:
        return Cell(text=UNDEFINED)
    look = signed_look(metrics.total_return) if name == "Total return" else None
    return Cell(text=show(metrics), look=look)
