"""A reconciliation as one HTML file that loads nothing from anywhere."""

from dataclasses import dataclass

from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.documents.reconciliation import headline
from crypto_refactor.report.html.templating import environment
from crypto_refactor.trading.reconciliation.result import AccountReconciliation, EquityComparison

_WIDTH, _HEIGHT, _POINTS = 960, 260, 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Both equities as SVG draws them, and the ends of both axes."""

    width: int
    height: int
    backtest: str
    account: str
    low: float
    high: float
    first: str
    last: str


def reconciliation_html(result: AccountReconciliation) -> str:
    """Return a reconciliation: its headline, both equities, the causes and the hours that differ."""
    hours = sorted(
        (
            (each.hour, str(ticker), str(cause.cause), each.text)
            for cause in result.causes
            for ticker, each in result.hours_of(cause.cause)
        ),
    )
    template = environment().get_template("reconciliation.html.jinja")
    return template.render(
        result=result,
        headline=headline(result) if result.tickers else "nothing could be reconciled",
        curves=_curves(result.comparison()) if result.tickers else None,
        hours=[(to_iso(hour), *rest) for hour, *rest in hours],
        unexplained_since=[
            (str(part.ticker), to_iso(part.unexplained_since))
            for part in result.tickers
            if part.unexplained_since is not None
        ],
    )


def _curves(equity: EquityComparison) -> Curves:
    values = [*equity.backtest, *equity.account]
    low, high = min(values), max(values)
    return Curves(
        width=_WIDTH,
        height=_HEIGHT,
        backtest=_points(equity.backtest, low, high),
        account=_points(equity.account, low, high),
        low=low,
        high=high,
        first=to_iso(equity.hours[0]),
        last=to_iso(equity.hours[-1]),
    )


def _points(values: tuple[float, ...], low: float, high: float) -> str:
    step = max(1, len(values) // _POINTS)
    chosen = [*range(0, len(values), step)]
    if chosen[-1] != len(values) - 1:
        chosen.append(len(values) - 1)
    width, height = max(len(values) - 1, 1), (high - low) or 1.0
    return " ".join(
        f"{place / width * _WIDTH:.1f},{_HEIGHT - (values[place] - low) / height * _HEIGHT:.1f}"
        for place in chosen
    )
