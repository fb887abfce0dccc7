"""Tests of a run against chance: bootstrap, Sharpe ratio, random entries, forecast skill, and the verdict."""
