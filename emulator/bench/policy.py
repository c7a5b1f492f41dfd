"""What it costs to ask a policy written in Python who runs next, of `vmlab bench policy`."""

from emulator.bench.figures import Figure, figure
from emulator.policy.timing import pick_us


def figures_of() -> list[Figure]:
    """Return `policy.call_us`."""
    return [figure("policy.call_us", pick_us(), "µs")]
