"""Trading a window that has passed, honestly."""
