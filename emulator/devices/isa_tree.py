"""What a device tree says about a hart's extensions, on the bare machine and in VMs.

Source: Linux's bindings "riscv/cpus.yaml" and "riscv/extensions.yaml". There are two forms, the older a
string and the newer a list; both are there. An extension that works on cache blocks comes with their size.
"""

from emulator.isa.extensions import Isa
from emulator.machine.fdt import Value

BLOCK_BYTES = 64
BLOCK_SIZES = {
    "zicbom": "riscv,cbom-block-size",
    "zicbop": "riscv,cbop-block-size",
    "zicboz": "riscv,cboz-block-size",
}


def isa_properties(isa: Isa) -> dict[str, Value]:
    """Return the properties of a CPU's node that say which extensions it has: all of them."""
    properties: dict[str, Value] = {
        "riscv,isa": isa.string(),
        "riscv,isa-base": "rv64i",
        "riscv,isa-extensions": isa.names(),
    }
    return properties | {name: BLOCK_BYTES for extension, name in BLOCK_SIZES.items() if extension in isa}
