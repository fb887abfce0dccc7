"""Results in, text, JSON and CSV out."""
