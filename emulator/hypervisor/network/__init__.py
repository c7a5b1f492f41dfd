"""Virtual networks: switches with VLANs, links between them, a router. `Networks` is the object."""

from emulator.hypervisor.network.networks import Networks as Networks
from emulator.hypervisor.network.state import PLAIN_LINK as PLAIN_LINK
from emulator.hypervisor.network.state import LinkSettings as LinkSettings
from emulator.hypervisor.network.state import NetworkError as NetworkError
from emulator.hypervisor.network.state import NetworkSettings as NetworkSettings
from emulator.hypervisor.network.state import NetworksState as NetworksState
