"""Data snapshots and which rows they have."""
