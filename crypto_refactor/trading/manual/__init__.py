"""What a person does by hand: close positions, lift halts, and settle what ledger and broker disagree on."""

from crypto_refactor.trading.manual.close import CloseResult

__all__ = ["CloseResult"]
