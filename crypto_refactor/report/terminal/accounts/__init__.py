"""Terminal texts of accounts and of trading."""
