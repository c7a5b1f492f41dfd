"""What can go wrong while a guest is built or looked for."""

from emulator.errors import VmLabError


class GuestError(VmLabError):
    """A guest cannot be built or is not there; the message says what to do about it."""
