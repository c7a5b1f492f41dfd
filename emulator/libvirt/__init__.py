"""Bridges to libvirt: domain XML, and a host console that takes virsh commands."""

from emulator.libvirt import domain_commands as _domain_commands
from emulator.libvirt import host_commands as _host_commands
from emulator.libvirt import snapshot_commands as _snapshot_commands
from emulator.libvirt import storage_commands as _storage_commands
from emulator.libvirt.commands import Change, VirshError, execute, interpret
from emulator.libvirt.domain_import import DomainXmlError, Imported, read_domain
from emulator.libvirt.domain_xml import domain_xml

COMMAND_MODULES = (_domain_commands, _snapshot_commands, _host_commands, _storage_commands)

__all__ = [
    "COMMAND_MODULES",
    "Change",
    "DomainXmlError",
    "Imported",
    "VirshError",
    "domain_xml",
    "execute",
    "interpret",
    "read_domain",
]
