"""Whether a run that nobody watches is well, and what it needs: one finding for each question."""
