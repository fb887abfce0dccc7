"""Commands for running unattended: health, settings, messages."""
