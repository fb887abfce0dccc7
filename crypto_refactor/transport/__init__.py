"""Bounded HTTP: endpoints and keys, a session with a deadline, typed failures."""
