"""What an environment serves, how it gets there, and whether it still does."""
