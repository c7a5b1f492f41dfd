"""What it costs to ask a policy written in Python who runs next, of `vmlab bench policy`."""

from emulator.bench.figures import Figure, figure
from emulator.policy.timing import STARTER, pick_us


def figures_of() -> list[Figure]:
    """Return `policy.call_us`, of a call itself, and `policy.starter_us`, of the interface's starter."""
    return [
        figure("policy.call_us", pick_us(), "µs"),
        figure("policy.starter_us", pick_us(STARTER), "µs"),
    ]
