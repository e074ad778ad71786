"""Models of other shapes than the one in model/, and the rows for them."""
