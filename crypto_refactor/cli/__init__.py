"""The command line: shared options, output, and how a command is run."""
