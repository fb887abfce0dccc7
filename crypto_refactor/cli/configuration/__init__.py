"""The configuration file: options and settings that the command line and the environment override."""
