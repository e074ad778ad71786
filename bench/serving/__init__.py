"""`make bench-serving`: our server beside others, each in its own environment, in one run on one machine."""
