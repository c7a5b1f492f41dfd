"""The seed of differential tests, and the values and operands that they share with `vmlab fuzz`."""

import os

from emulator.fuzz.operands import ALL_ONES, INTERESTING, immediate, random_operands, value

__all__ = ["ALL_ONES", "INTERESTING", "SEED", "immediate", "random_operands", "value"]

# A run is repeated exactly with the seed that a failure prints: VMLAB_SEED=7 make test ...
SEED = int(os.environ.get("VMLAB_SEED", "20261123"), 0)
