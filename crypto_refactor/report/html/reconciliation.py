"""A reconciliation as one HTML file that loads nothing from anywhere."""

from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.documents.reconciliation import headline
from crypto_refactor.report.html.fragment import Chart, equity_chart
from crypto_refactor.report.html.templating import environment
from crypto_refactor.trading.reconciliation.result import AccountReconciliation, EquityComparison

_UTC = ZoneInfo("UTC")


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
        chart=_chart(result.comparison()) if result.tickers else None,
        hours=[(to_iso(hour), *rest) for hour, *rest in hours],
        unexplained_since=[
            (str(part.ticker), to_iso(part.unexplained_since))
            for part in result.tickers
            if part.unexplained_since is not None
        ],
    )


def _chart(equity: EquityComparison) -> Chart:
    curves = {"Its backtest": np.asarray(equity.backtest), "Account": np.asarray(equity.account)}
    return equity_chart(curves, equity.hours[0], equity.hours[-1], _UTC)
