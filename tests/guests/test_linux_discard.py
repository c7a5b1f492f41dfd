"""Linux gives blocks of its disk back to a thin volume."""

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine
from tests.guests.test_linux_balloon import FAR, PROMPT, ask

pytestmark = pytest.mark.slow

POOL = {"name": "p", "capacity": "16 MiB", "volumes": [{"name": "v", "capacity": "8 MiB"}]}
MEBIBYTE = 1 << 20


def test_linux_discards_what_it_wrote_and_the_pool_has_the_space_again(
    engine: Engine, linux_image: bytes
) -> None:
    vm = {"name": "a", "memory": "32 MiB", "program": "linux", "autostart": True, "disk": {"volume": "v"}}
    config = {"host": {"pcpus": 1, "memory": "48 MiB"}, "pools": [POOL], "vms": [vm]}
    lab = Lab(LabConfig.from_dict(config), {"linux": Program("linux", elf=linux_image)}, 1, engine)
    assert lab.run_until({"kind": "console", "vm": "a", "text": PROMPT}, FAR), lab.console("a")[-500:]
    ask(lab, "dd if=/dev/urandom of=/dev/vda bs=64k count=32; sync; echo told=$((1+1))", "told=2")
    assert lab.hypervisor.storage.allocation("p") == 2 * MEBIBYTE
    ask(lab, f"blkdiscard -o 0 -l {MEBIBYTE} /dev/vda; echo told=$((1+2))", "told=3")
    assert lab.hypervisor.storage.allocation("p") == MEBIBYTE
    image = lab.volume_image("v", "raw")
    assert image[:MEBIBYTE] == bytes(MEBIBYTE)
    assert len(set(image[MEBIBYTE : 2 * MEBIBYTE])) == 256
