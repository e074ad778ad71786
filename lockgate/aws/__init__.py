"""The only code that calls AWS; used by lambdas and the command line."""
