"""The release, in a module of its own: the package imports every room, and a room that imported it would close a circle."""

__version__ = "0.1.0"
