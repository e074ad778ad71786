"""A model as data for the walker (walker.c): how its file is laid out, and the proof that a walk stays inside it.

No NumPy here: the process that serves does not need it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from lockgate.errors import EvidenceError
from runtime.facts import WALKER_FILE

MAGIC = b"lockgate.walker/1\n"
NODE = struct.Struct("<d4i")  # value, left, right, column, kind
COLUMN = struct.Struct("<2d4i")  # subtract, divide, feature, table, size, unused
SET_BYTES = 32  # categories 0 to 255
LINKS = ("identity", "logistic", "softmax")
MOST_COLUMNS, MOST_OUTPUTS = 100_000, 1_000


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """features: those of model.toml; width: columns that the model itself sees; sizes: bytes of each section."""

    features: int
    width: int
    outputs: int
    link: str
    linear: bool
    sizes: list[int]


@dataclass(frozen=True)
class Program:
    """Sections as the walker reads them. trees: nodes of every tree, its first node and its depth (levels below)."""

    features: int
    width: int
    outputs: int
    link: str
    linear: bool
    columns: bytes
    tables: bytes
    nodes: bytes
    roots: bytes
    depths: bytes
    sets: bytes
    baseline: bytes
    coefficients: bytes

    @property
    def trees(self) -> int:
        return len(self.roots) // 4

    def sections(self) -> tuple[bytes, ...]:
        return (
            self.columns, self.tables, self.nodes, self.roots, self.depths, self.sets, self.baseline, self.coefficients
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        sizes = [len(section) for section in self.sections()]
        header = msgspec.json.encode(Header(self.features, self.width, self.outputs, self.link, self.linear, sizes))
        return MAGIC + struct.pack("<i", len(header)) + header + b"".join(self.sections())


def read_program(data: bytes) -> Program:
    """Raises EvidenceError unless every index is in bounds and every walk ends."""
    start = len(MAGIC) + 4
    try:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError("it does not begin as one")
        end = start + struct.unpack_from("<i", data, len(MAGIC))[0]
        header = msgspec.json.decode(data[start:end], type=Header)
        program = Program(
            header.features,
            header.width,
            header.outputs,
            header.link,
            header.linear,
            *_cut(data, end, header.sizes),
        )
        _prove(program)
    except (ValueError, TypeError, struct.error) as error:  # msgspec's errors are ValueErrors
        raise EvidenceError(f"{WALKER_FILE}: found a file that is no program of the walker: {error}") from error
    return program


def _cut(data: bytes, at: int, sizes: list[int]) -> Iterator[bytes]:
    if min(sizes) < 0 or at + sum(sizes) != len(data):
        raise ValueError("its sections do not fill it")
    for size in sizes:
        yield data[at : at + size]
        at += size


def _prove(program: Program) -> None:
    """Every number the walker uses as an index, and each tree's depth by the walk of its nodes."""
    width, outputs = program.width, program.outputs
    _demand(0 < program.features <= MOST_COLUMNS and 0 < width <= MOST_COLUMNS, "number of features or columns")
    _demand(0 < outputs <= MOST_OUTPUTS and program.link in LINKS, "outputs or link")
    _demand(len(program.columns) == width * COLUMN.size, "columns")
    _demand(len(program.baseline) == 8 * outputs and len(program.tables) % 8 == 0, "baseline or tables")
    entries = len(program.tables) // 8
    for _, _, feature, table, size, _ in COLUMN.iter_unpack(program.columns):
        _demand(0 <= feature < program.features, "a column's feature")
        _demand(size >= 0 and table >= 0 and (size == 0 or table + size < entries), "a column's table")
    _demand(len(program.coefficients) == (8 * outputs * width if program.linear else 0), "coefficients")
    _demand(len(program.sets) % SET_BYTES == 0 and len(program.nodes) % NODE.size == 0, "sets or nodes")
    _demand(len(program.roots) % 4 == 0 and len(program.depths) == len(program.roots), "roots or depths")
    _demand(not (program.linear and program.trees), "a linear model with trees")
    _prove_trees(program, len(program.sets) // SET_BYTES)


def _prove_trees(program: Program, sets: int) -> None:
    nodes = list(NODE.iter_unpack(program.nodes))
    below = [0] * len(nodes)  # levels below each node; children come after their parent, so backwards is enough
    for index in range(len(nodes) - 1, -1, -1):
        _, left, right, column, kind = nodes[index]
        _demand(0 <= column < program.width and 0 <= kind >> 1 <= sets, "a node's column or set")
        if left == right == index:
            continue
        _demand(index < left < len(nodes) and index < right < len(nodes), "a node's children")
        below[index] = 1 + max(below[left], below[right])
    roots = [root for (root,) in struct.iter_unpack("<i", program.roots)]
    depths = [depth for (depth,) in struct.iter_unpack("<i", program.depths)]
    for root, depth in zip(roots, depths, strict=True):
        _demand(0 <= root < len(nodes) and below[root] == depth, "a tree's root or depth")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what}: out of bounds")
