"""Programs for the Pythons of other environments; each stands alone.

A program reads its question from the standard input and prints its answer, both as JSON.
"""
