"""Batch models: runs of days, backfills, the schedule, and the processes that score."""
