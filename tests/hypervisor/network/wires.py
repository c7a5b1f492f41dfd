"""Stations on a network: they send frames and keep what they get."""

from emulator.hypervisor.network import PLAIN_LINK, LinkSettings, Networks
from emulator.hypervisor.network import packets as net
from emulator.hypervisor.network.packets import Packet


class Clock:
    """Virtual time that a test sets."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


class Station:
    """A card on a network, with a MAC address 02:...:number."""

    def __init__(
        self,
        networks: Networks,
        network: str,
        number: int,
        link: LinkSettings = PLAIN_LINK,
        address: str = "",
    ) -> None:
        self.mac = b"\x02\0\0\0\0" + bytes([number])
        self.frames: list[bytes] = []
        self.switch, self.number = networks.switch(network), number
        self.address = int.from_bytes(bytes(map(int, address.split("."))), "big") if address else 0
        self.switch.plug(number, self._take, f"s{number}", link)

    def _take(self, frame: bytes, at: int) -> None:
        if frame:
            self.frames.append(frame)

    def send(self, target: bytes, payload: bytes = b"", kind: int = 0x88B5, tag: bytes = b"") -> None:
        """Send a frame."""
        self.switch.send(
            self.number, target + self.mac + tag + kind.to_bytes(2, "big") + payload.ljust(46, b".")
        )

    def put(self, packet: Packet, gateway: bytes) -> None:
        """Send an IPv4 packet by way of a MAC address."""
        self.switch.send(self.number, net.ethernet(gateway, self.mac, net.IPV4, net.ipv4(packet)))

    def answer_arp(self) -> None:
        """Answer whoever asks for this station's address."""
        for frame in list(self.frames):
            found = net.read_arp(frame[14:]) if frame[12:14] == b"\x08\x06" else None
            if found and found[0] == net.ARP_REQUEST and found[3] == self.address:
                self.frames.remove(frame)
                reply = net.arp(net.ARP_REPLY, self.mac, self.address, found[1], found[2])
                self.switch.send(self.number, net.ethernet(found[1], self.mac, net.ARP, reply))

    def packets(self) -> list[Packet]:
        """Return the IPv4 packets that came, and forget them."""
        found = [net.read_ipv4(frame[14:]) for frame in self.frames if frame[12:14] == b"\x08\x00"]
        self.frames.clear()
        return [packet for packet in found if packet is not None]
