"""Tests of pglogical_cdc; the folders are those of the package."""
