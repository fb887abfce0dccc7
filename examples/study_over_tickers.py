"""A study: several tickers with several settings over one window, ranked, with what chance alone would show.

Compares three tickers with four settings on 30 days of simulated bars.  Prints the ranking with the deflated Sharpe ratio,
the mean return of each exit rule, and what the portfolio of each setting ended with.
"""

from crypto_refactor import compare


def main() -> None:
    """Compare exit rules and sides over three tickers."""
    comparison = compare(
        ["BTC/USD", "ETH/USD", "SOL/USD"],
        hours=720,
        source="sample",
        network="linear",
        min_confirmations=4,
        vary={"exit": ["neutral", "fade"], "long_only": [True, False]},
    )
    print(comparison)

    table = comparison.table
    print("\nMean of each exit rule:", table.groupby("exit")[["total_return", "fees_paid"]].mean(), sep="\n")
    print("\nPortfolios end with:", comparison.equity.iloc[-1].round(2), sep="\n")


if __name__ == "__main__":
    main()
