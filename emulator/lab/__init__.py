"""One student's world: configuration, action log, replay and observations."""

from emulator.lab.errors import Diagnostic, LabError
from emulator.lab.lab import Lab, LogEntry

__all__ = ["Diagnostic", "Lab", "LabError", "LogEntry"]
