"""The files of a new kind, for somebody to fill in."""

from zoo.scaffold.new import checkout, new

__all__ = ["checkout", "new"]
