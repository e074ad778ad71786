"""A model as data for the walker (walker.c): how its file is laid out, and the proof that a walk stays inside it.

No NumPy here: the process that serves does not need it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from lockgate.errors import EvidenceError
from runtime.model_json import WALKER_FILE

MAGIC = b"lockgate.walker/1\n"
NODE = struct.Struct("<diHH")  # threshold, left (the right one follows), column, kind
TREE = struct.Struct("<2i")  # first node, first set
COLUMN = struct.Struct("<2d4i")  # subtract, divide, feature, table, size, unused
SET_BYTES = 32  # categories 0 to 255
LINKS = ("identity", "logistic", "softmax")
MOST_COLUMNS, MOST_OUTPUTS = 65_535, 1_000
MOST_SETS = 32_766  # of one tree


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
    """Sections as the walker reads them. leaves: what each node adds if it is one."""

    features: int
    width: int
    outputs: int
    link: str
    linear: bool
    columns: bytes
    tables: bytes
    nodes: bytes
    leaves: bytes
    trees: bytes
    sets: bytes
    baseline: bytes
    coefficients: bytes

    def sections(self) -> tuple[bytes, ...]:
        return (
            self.columns, self.tables, self.nodes, self.leaves, self.trees, self.sets, self.baseline, self.coefficients
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
    _demand(len(program.trees) % TREE.size == 0, "trees")
    _demand(len(program.leaves) * NODE.size == len(program.nodes) * 8, "leaves")
    _demand(not (program.linear and program.trees), "a linear model with trees")
    _prove_trees(program, len(program.sets) // SET_BYTES)


def _prove_trees(program: Program, sets: int) -> None:
    """Trees follow one another; children come after their parent, in the same tree, so every walk ends at a leaf."""
    nodes, trees = len(program.nodes) // NODE.size, list(TREE.iter_unpack(program.trees))
    ends = [*(root for root, _ in trees), nodes][1:]
    _demand(bool(trees) == bool(nodes) and (not trees or trees[0][0] == 0), "the first tree")
    for (root, first_set), end in zip(trees, ends, strict=True):
        _demand(root < end <= nodes and 0 <= first_set <= sets, "a tree")
        part = program.nodes[root * NODE.size : end * NODE.size]
        for index, (threshold, left, column, kind) in enumerate(NODE.iter_unpack(part), start=root):
            _demand(column < program.width and first_set + (kind >> 1) <= sets, "a node's column or set")
            leaf = left == index and threshold == math.inf and kind == 1  # whatever the value, it stays
            _demand(leaf or index < left < end - 1, "a node's children")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what}: out of bounds")
