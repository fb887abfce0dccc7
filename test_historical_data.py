"""Check historical bars: ``python3 test_historical_data.py``; pytest collects it on the bundled simulation."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from crypto_refactor.launch import run


def test_historical_data() -> None:
    from crypto_refactor.market.self_checks import history_checks
    from crypto_refactor.market.sources.sample import SampleSource
    from crypto_refactor.market.ticker import Ticker

    source, ticker = SampleSource(), Ticker("BTC", "USD")
    checks = history_checks(source, ticker, 240, source.now(ticker))
    assert [check for check in checks if not check.holds] == []


if __name__ == "__main__":
    run("check-history", "test_historical_data.py")
