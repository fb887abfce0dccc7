"""A walk-forward backtest, its figures as pandas has them, and its page.

Backtests 60 days of simulated bars by models that were each trained before the days they decide.  Prints the verdict with
the three columns, the equity of the last hours and the last trades, and writes `backtest.html` into the current folder.
"""

from crypto_refactor import Backtester


def main() -> None:
    """Backtest ETH/USD with fewer confirmations than usual, at a low fee."""
    backtester = Backtester(
        "ETH/USD", source="sample", network="linear", min_confirmations=3, fee=0.0005, exit="opposite"
    )
    result = backtester.run(hours=1440, end="2024-12-31T00:00Z")
    print(result)

    print("\nEquity:", result.equity.tail(3).round(2), sep="\n")
    columns = ["entry", "side", "net_return", "exit_reason"]
    print("\nTrades:", result.trades[columns].tail(3), sep="\n")
    print(f"\nMaximum drawdown {result.metrics.max_drawdown:.1%}, turnover {result.metrics.turnover:.1f}.")
    print(f"The page: {result.report('backtest.html')}")


if __name__ == "__main__":
    main()
