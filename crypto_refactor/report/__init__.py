"""Results in words, figures and charts: for the terminal, as JSON documents and CSV files, and as an HTML page."""
