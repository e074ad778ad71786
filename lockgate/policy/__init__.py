"""What an environment asks of a model, and how many rows each rule needs."""
