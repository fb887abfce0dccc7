"""Every command: its module in `cli/commands`, and its line in `crypto-refactor --help`."""

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "adopt": ("accounts.holdings", "Put coins of the account under the ledger's care."),
    "audit": ("audit", "Check a backtest for look-ahead."),
    "backtest": ("backtest", "Backtest the signals (models/app_backtester.py)."),
    "check-history": ("checks", "Check historical bars (test_historical_data.py)."),
    "check-mountain-time": ("checks", "Check Mountain-Time conversion (test_mountain_time.py)."),
    "check-plugin": ("checks", "Check a plug-in for look-ahead."),
    "close": ("accounts.account", "Sell what an account holds."),
    "compare": ("compare", "Rank tickers and settings over one window."),
    "data": ("data", "Try the data client (models/data/app.py)."),
    "download": ("download", "Write bars to CSV files."),
    "evaluate": ("evaluate", "Backtest external targets."),
    "halt": ("accounts.account", "Block entries, until resume."),
    "import": ("importing", "Convert files of bars in other layouts."),
    "models": ("models", "List models, or prune their cache."),
    "multi": ("trade", "Trade many tickers (run_multi_ticker.py)."),
    "panic": ("accounts.holdings", "Halt entries and close until flat."),
    "reconcile": ("accounts.reconcile", "Explain an account against its own backtest."),
    "resume": ("accounts.account", "Allow entries again."),
    "signal": ("signal", "Give a trading signal (models/app_lstm.py)."),
    "status": ("accounts.account", "Show an account."),
    "trade": ("trade", "Trade one ticker (run_trading.py)."),
    "trades": ("accounts.account", "List an account's trades."),
    "trials": ("compare", "List what was tried: the journal."),
}
