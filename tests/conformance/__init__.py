"""The real Debezium connector beside this package, on the same server and the same changes."""
