"""Compute the generator digests that the source pins (zkcore/field/generator_digests.json). Takes some minutes.

The digests let a cache on disk be believed; anyone may run this again and compare.
"""

import hashlib
import json
import sys
from pathlib import Path

from zkcore.field import native
from zkcore.field.generators import Generators

SIZES = {
    "message": range(3, 4),
    "blind": range(3, 4),
    "unit": range(3, 4),
    "tensor": range(3, 21),
    "wide": range(3, 19),
}
TARGET = Path(__file__).parent.parent / "zkcore" / "field" / "generator_digests.json"


def main() -> None:
    generators, digests = Generators(native.load()), {}
    for purpose, exponents in SIZES.items():
        points = generators.compute(purpose, 1 << exponents[-1])
        for k in exponents:
            digests[f"{purpose}/{1 << k}"] = hashlib.sha256(points[: 1 << k].tobytes()).hexdigest()
    text = json.dumps(digests, indent=2, sort_keys=True) + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if text == TARGET.read_text() else "the pinned digests differ")
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
