"""Benchmarks: micro cases for pytest-benchmark, and the whole path beside ``pg_recvlogical``.

::

    pytest benchmarks --benchmark-only
    python -m benchmarks.end_to_end
"""
