"""How many limbs a number is looked up in, and of how many bits."""

from __future__ import annotations

WIDEST = 24  # bits that a table of consecutive integers may have: 16 M rows


def widest(cells: int, table_bits: int) -> int:
    """log2 of the rows that a table of consecutive integers may have which this many cells are looked up in. A limb
    costs a commitment and a lookup a cell, a table as much a row: one of half as many rows as there are cells pays for
    itself, whatever else shares it. Short ones, of `table_bits`, are always there."""
    return max(table_bits, min(WIDEST, cells.bit_length() - 2))


def limb_bits(bits: int, cells: int, table_bits: int) -> int:
    """Of each limb but the highest, which may be shorter: as few limbs as tables allow, then tables that are short."""
    limbs = -(-bits // widest(cells, table_bits)) or 1
    return max(table_bits, -(-bits // limbs))
