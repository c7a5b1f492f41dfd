"""QEMU's qcow2 image format: reading, writing, checking. Files come from anywhere and may hold anything."""

from emulator.hypervisor.storage.qcow2.check import Report as Report
from emulator.hypervisor.storage.qcow2.check import check as check
from emulator.hypervisor.storage.qcow2.header import MAGIC as MAGIC
from emulator.hypervisor.storage.qcow2.header import Header as Header
from emulator.hypervisor.storage.qcow2.header import Qcow2Error as Qcow2Error
from emulator.hypervisor.storage.qcow2.header import read_header as read_header
from emulator.hypervisor.storage.qcow2.image import Image as Image
from emulator.hypervisor.storage.qcow2.writer import write_image as write_image
