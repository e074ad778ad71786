"""Load balancers that really route, and their targets."""
