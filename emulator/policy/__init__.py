"""Policies that students write in Python: loading, guarding and asking them. Read README.md first."""

from __future__ import annotations

from emulator.policy.errors import PolicyError
from emulator.policy.interfaces import INTERFACES, Interface
from emulator.policy.program import Program, load

__all__ = ["INTERFACES", "Interface", "PolicyError", "Program", "load"]
