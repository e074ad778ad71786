"""Everything that stands between a client and the emulated services: the door, the proxy, other accounts."""
