"""The clock of the formatters, unless another is handed in."""

from time import time_ns

__all__ = ("time_ns",)
