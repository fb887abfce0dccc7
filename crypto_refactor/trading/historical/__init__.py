"""Trading on bars of the past: replay and single pass."""
