"""Events that AWS services put on an account's default bus."""
