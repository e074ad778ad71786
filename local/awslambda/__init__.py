"""Lambda: Function URLs, names of errors, updates while calls run."""
