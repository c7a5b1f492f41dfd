"""The hostile drivers of the device tests once more, with checked kernels: DMA goes through them."""

from tests.devices.virtio.test_hostile_drivers import test_rings_may_hold_anything
from tests.hypervisor.test_hostile_drivers import test_hostile_rings_never_reach_a_neighbour
from tests.hypervisor.test_hostile_guests import test_random_bytes_as_code_harm_nobody

__all__ = [
    "test_hostile_rings_never_reach_a_neighbour",
    "test_random_bytes_as_code_harm_nobody",
    "test_rings_may_hold_anything",
]
