"""Which cells of a box count: arrays of zeros and ones that lookups share, a layer's with the next one's."""

from __future__ import annotations

from collections.abc import Callable

from zkcore.field.space import Space
from zkcore.field.unmade import size
from zkcore.graph.arrays import Array
from zkcore.polynomial.boxes import Box

ROOM = 1 << 24, 1 << 28  # bytes that are kept: of a host, a device


class Selectors:
    """Of one space. The last to be asked for are kept."""

    def __init__(self, here: Space) -> None:
        self._here, self._room = here, ROOM[here.device != "cpu"]
        self._made = dict[tuple[object, ...], Array]()

    def real(self, box: Box) -> Array:
        """[box.size] int8: 1 at the real cells. Not to be written to."""
        return self._ones((box.size, box.real), box, lambda: 1)

    def inside(self, mask: tuple[object, ...], box: Box, cells: Callable[[], Array]) -> Array:
        """Of the real cells, those where `cells` are 1. `mask`: what makes them, where they are not made yet."""
        return self._ones((box, *mask), box, cells)

    def forget(self) -> None:
        self._made.clear()

    def _ones(self, key: tuple[object, ...], box: Box, inside: Callable[[], Array | int]) -> Array:
        made = self._made.pop(key, None)
        if made is None:
            made = self._here.zeros(box.size, "int8")
            made[tuple(slice(0, n) for n in box.real)] = inside()
        self._made[key] = made
        while sum(map(size, self._made.values())) > self._room:
            del self._made[next(iter(self._made))]
        return made
