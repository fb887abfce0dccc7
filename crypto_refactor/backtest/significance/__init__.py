"""What a result proves: bootstrap, Sharpe tests, random entries, forecast skill, verdict."""
