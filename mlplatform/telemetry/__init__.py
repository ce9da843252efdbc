"""Traces: which one a request belongs to, in each line of the log, and spans for a collector where one is configured."""
