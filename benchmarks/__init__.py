"""Benchmarks: the whole path beside other programs, the rooms one by one, and the guard of CI.

::

    python -m benchmarks.end_to_end
    pytest benchmarks --benchmark-only
    pytest benchmarks/test_guard.py
"""
