"""What is kept for years: records in chains, an environment's journal, and what they say together."""
