"""Ports on loopback that nobody else is given: no other process of this suite, and none of another suite.

A port that was free a moment ago may be another's when a server takes it. So this process takes whole blocks of ports:
it listens on the first port of a block for as long as it lives, and gives out the others.
"""

from __future__ import annotations

import itertools
import os
import socket

HOST = "127.0.0.1"
# Below the ports that Linux and macOS give to outgoing connections.
FIRST, BLOCK, BLOCKS = 20000, 8, 1500

_guards: list[socket.socket] = []
_blocks = itertools.islice(itertools.cycle(range(BLOCKS)), os.getpid() % BLOCKS, None)
_left: list[int] = []


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports, seven at most; each port is given once."""
    if count > len(_left):
        _left[:] = _block()
    first = _left[0]
    del _left[:count]
    return first


def _block() -> list[int]:
    """The ports of a block that is ours from now on and on which nobody listens."""
    for number in itertools.islice(_blocks, BLOCKS):
        first = FIRST + BLOCK * number
        guard = socket.socket()
        try:
            guard.bind((HOST, first))
            guard.listen()
            for port in (others := list(range(first + 1, first + BLOCK))):
                _refuse_if_taken(port)
        except OSError:
            guard.close()
            continue
        _guards.append(guard)
        return others
    raise RuntimeError(f"no free ports on {HOST} from {FIRST} to {FIRST + BLOCK * BLOCKS}: end what listens there")


def _refuse_if_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, port))
