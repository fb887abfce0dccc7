"""An idea of your own, judged by the engine, the costs and the tests of the tool.

The idea: long above the mean of the last two days, flat below it.  Prints its result; then that of the same idea with a
leak, because its target knows the close of the bar it trades, and the warning that comes first then.
"""

from crypto_refactor import CryptoMarketDataClient, evaluate


def main() -> None:
    """Evaluate a moving average, and a moving average that looks ahead."""
    bars = CryptoMarketDataClient("sample").get_historical_bars("SOL/USD", hours=4000)
    frame = bars.to_frame()

    above = frame["close"] > frame["close"].rolling(48).mean()
    targets = above.astype(int)  # 1 long, 0 flat, -1 short; indexed by the opens of the bars, as `frame` is
    print(evaluate("SOL/USD", targets, source=bars, fee=0.0005))

    leaking = (frame["close"].shift(-1) > frame["close"]).astype(int)
    print("\nWith a leak:")
    print(evaluate("SOL/USD", leaking, source=bars, fee=0.0005))


if __name__ == "__main__":
    main()
