"""The 14 indicators: bars in, features out."""
