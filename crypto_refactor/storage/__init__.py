"""Atomic files and SQLite files."""
