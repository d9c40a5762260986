"""The page that shows DMS, Debezium and this library beside each other, and its test."""
