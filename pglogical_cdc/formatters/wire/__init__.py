"""From the wire text of a value to JSON, one module for each family of types."""

__all__ = ()
