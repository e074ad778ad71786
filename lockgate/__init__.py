"""The rules of Lockgate: what evidence is, what a policy asks, what a verdict says, what a release pins.

Nothing here reads a clock, a network or a file system other than the configuration it is handed.
"""
