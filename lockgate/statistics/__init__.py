"""Bounds with a stated error, from the counts and sums that evidence carries. Standard library only: a Lambda has no
numpy.

One convention everywhere: `alpha` is the largest probability with which ONE end of an interval may be wrong. A rule
that lets a model through when the lower end is above its limit therefore lets a bad one through with probability at
most `alpha`, and so does a verdict of several rules: all must pass, and the one that should not have passed does so
with probability at most `alpha` (an intersection-union test: Berger, Technometrics 24(4), 1982). docs/statistics.md
says which bound is used where and what it assumes.
"""
