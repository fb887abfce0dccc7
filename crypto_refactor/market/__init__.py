"""Bars of one ticker from one source: types, quality, sources, the bar store."""
