"""Which integer type an array has, before anybody looks.

A device answers only when it has done all that was asked of it before, and the prover derives thousands of arrays. So
the type of an array is guessed: that of its like, the array of the same name in another layer, which was measured. In
the pass that makes it the device notes whether an entry did not fit; these notes are read together, before anything
that follows from the arrays leaves the prover (`Witness.settled`). Where a guess was wrong, as a cheater's can be, all
is made again with wider types. A host is asked at once: there nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from zkcore.field import space
from zkcore.field.space import NARROW, Form, Guessing, Space
from zkcore.graph.arrays import Array

_LAYER = re.compile(r"^layers\.\d+\.")
KINDS = (*NARROW, "int64")
MARGIN = 8  # times as large as its like in the layer that was measured may an array be


class Guesses:
    """Of one witness."""

    def __init__(self, here: Space) -> None:
        self._here, self._device = here, here if isinstance(here, Guessing) else None
        self._kinds = dict[str, str]()  # by name, without its layer where types are guessed
        self._unfit = set[str]()  # what may leave 64 bits
        self._doubts: list[tuple[str, Array]] = []

    @property
    def certain(self) -> bool:
        """Nothing is guessed."""
        return self._device is None

    def narrowed(self, name: str, array: Array) -> Array:
        """Of a type that holds it, if it has 64 bits; else it is what it was."""
        if array.dtype.itemsize < 8 or space.is_field(array):
            return array
        shape = tuple(array.shape)
        return self.affine(name, Form(((1, array),), 0, shape, shape), lambda: array)

    def affine(
        self,
        name: str,
        form: Form | None,
        measured: Callable[[], Array],
        within: tuple[int, int] | None = None,
        known: str | None = None,
    ) -> Array:
        """A form's values; where there is none, or no guess, what `measured` makes. `within`: where an honest prover's
        lie. `known`: the type, whoever proves."""
        name = _LAYER.sub("", name) if self._device else name
        kind = known or self._kinds.get(name)
        if kind and form and self._device and name not in self._unfit:
            made, doubt = self._device.affine(form, kind)
            self._doubts.append((name, doubt))
            return made
        array = measured()
        if array.dtype.itemsize < 8 or space.is_field(array):
            return array
        if known or (kind and self.certain):  # what is derived again has the type that it had
            return self._here.cast(array, kind or "int64")
        extent = self._here.extent(array)
        self._kinds[name] = self._guess(extent, within)
        return self._here.cast(array, space.narrowest(extent))

    def _guess(self, extent: tuple[int, int], within: tuple[int, int] | None) -> str:
        """For what is alike: within the same bounds, if there are any that hold, or somewhat larger."""
        lo, hi = extent
        if self.certain:
            return space.narrowest(extent)
        if within and within[0] <= lo and hi <= within[1]:
            return space.narrowest(within)
        return space.narrowest((MARGIN * lo, MARGIN * hi))

    def wrong(self, names: Sequence[str]) -> set[str] | None:
        """None if no guess was too narrow since this was last asked. Else those of these names about which one was;
        their next guess is wider."""
        if not self._doubts or not self._device:
            return None
        doubted, doubts = zip(*self._doubts, strict=True)
        self._doubts = []
        failed = {n for n, bad in zip(doubted, self._device.wrong(doubts), strict=True) if bad}
        for name in failed:
            at = KINDS.index(self._kinds.get(name, KINDS[-1]))
            if at + 1 == len(KINDS):
                self._unfit.add(name)
            else:
                self._kinds[name] = KINDS[at + 1]
        return {n for n in names if _LAYER.sub("", n) in failed} if failed else None
