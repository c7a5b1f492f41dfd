"""H extension: how the hypervisor's loads extend what they read (Privileged ISA 20240411, section 18.3)."""

from emulator.core.bits import sext8, sext16, sext32


def hlv_b(raw):
    return sext8(raw)


def hlv_bu(raw):
    return raw


def hlv_h(raw):
    return sext16(raw)


def hlv_hu(raw):
    return raw


def hlvx_hu(raw):
    return raw


def hlv_w(raw):
    return sext32(raw)


def hlv_wu(raw):
    return raw


def hlvx_wu(raw):
    return raw


def hlv_d(raw):
    return raw
