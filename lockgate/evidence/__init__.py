"""What was measured of a model and what is known of its origin, and the numbers that follow from it."""
