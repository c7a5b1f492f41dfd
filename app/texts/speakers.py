"""What the emulator says: templates, found in the text of its modules.

The emulator speaks English and knows nothing of languages: its sentences go into logs, histories and
hashes as they are. In the modules named here every literal of more than one word is taken for something
that a student may read, and an f-string for a template: `f"VM {vm.name} runs"` is "VM {vm} runs".
`sentences.py` finds the template of a sentence again where it is shown. Standard library only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SPEAKERS = (
    "hypervisor/board.py",
    "hypervisor/emulation.py",
    "hypervisor/exits.py",
    "hypervisor/hypervisor.py",
    "hypervisor/lifecycle.py",
    "hypervisor/memory/fitting.py",
    "hypervisor/memory/hotadd.py",
    "hypervisor/memory/pager.py",
    "hypervisor/mmio.py",
    "hypervisor/runloop.py",
    "hypervisor/sbi.py",
    "hypervisor/shadow.py",
    "hypervisor/sleeping.py",
    "hypervisor/trace.py",
    "hypervisor/vm.py",
    "isa/causes.py",
    "isa/csr_fields.py",
    "lab/actions.py",
    "lab/aside.py",
    "lab/causes.py",
    "lab/cloning.py",
    "lab/conditions.py",
    "lab/config.py",
    "lab/defining.py",
    "lab/device_faults.py",
    "lab/exit_stories.py",
    "lab/exit_words.py",
    "lab/hosting.py",
    "lab/htinst.py",
    "lab/inspection.py",
    "lab/lab.py",
    "lab/mappers.py",
    "lab/memory_actions.py",
    "lab/memory_config.py",
    "lab/monitoring/monitor.py",
    "lab/network_actions.py",
    "lab/network_config.py",
    "lab/page_entries.py",
    "lab/poking.py",
    "lab/policies.py",
    "lab/registers.py",
    "lab/sbi_words.py",
    "lab/snapshot_actions.py",
    "lab/snapshots.py",
    "lab/stops.py",
    "lab/storage_actions.py",
    "lab/storage_config.py",
    "lab/stories.py",
    "lab/timetravel.py",
    "lab/tlb_observed.py",
    "lab/values.py",
    "lab/walks.py",
    "lab/where.py",
)
# These speak as well, and stay English: the assembler, packets, images, archives, and refusals that are rare.
ENGLISH = (
    "devices/virt.py",
    "devices/virtio/block.py",
    "devices/virtio/mmio.py",
    "devices/virtio/queue.py",
    "hypervisor/admission.py",
    "hypervisor/console.py",
    "hypervisor/costs.py",
    "hypervisor/decisions.py",
    "hypervisor/disks.py",
    "hypervisor/host_scheduler.py",
    "hypervisor/image.py",
    "hypervisor/memory/custom.py",
    "hypervisor/network/decoding.py",
    "hypervisor/network/networks.py",
    "hypervisor/network/router.py",
    "hypervisor/partition.py",
    "hypervisor/plain.py",
    "hypervisor/scheduler/custom.py",
    "hypervisor/scheduler/edf.py",
    "hypervisor/scheduler/gang.py",
    "hypervisor/scheduler/interface.py",
    "hypervisor/scheduler/mlfq.py",
    "hypervisor/shadow_tables.py",
    "hypervisor/storage/chain.py",
    "hypervisor/storage/merging.py",
    "hypervisor/storage/qcow2/check.py",
    "hypervisor/storage/qcow2/header.py",
    "hypervisor/storage/qcow2/image.py",
    "hypervisor/storage/qcow2/writer.py",
    "hypervisor/storage/storage.py",
    "isa/assembler.py",
    "isa/assembly/directives.py",
    "isa/assembly/expressions.py",
    "isa/assembly/fixups.py",
    "isa/assembly/instructions.py",
    "isa/assembly/lexer.py",
    "isa/assembly/macros.py",
    "isa/assembly/operands.py",
    "isa/assembly/problems.py",
    "isa/assembly/pseudo.py",
    "isa/assembly/sections.py",
    "isa/assembly/statements.py",
    "isa/assembly/symbols.py",
    "isa/encodings.py",
    "isa/extensions.py",
    "lab/archive.py",
    "lab/archive_checks.py",
    "lab/archive_volume.py",
    "lab/byte_views.py",
    "lab/chains.py",
    "lab/checkpoint.py",
    "lab/cpu.py",
    "lab/cpu_view.py",
    "lab/debugging.py",
    "lab/exit_config.py",
    "lab/float_registers.py",
    "lab/graph.py",
    "lab/monitoring/export.py",
    "lab/monitoring/metrics.py",
    "lab/monitoring/rules.py",
    "lab/monitoring/signals.py",
    "lab/naming.py",
    "lab/packets.py",
    "lab/programs.py",
    "lab/provisioning.py",
    "lab/quantities.py",
    "lab/saving.py",
    "lab/volume_images.py",
)
# What is said in one word, by the module that says it.
WORDS = {
    "hypervisor/vm.py": ("running", "idle", "blocked", "paused", "crashed"),
    "isa/csr_fields.py": (
        *(
            "big-endian",
            "clean",
            "dirty",
            "disabled",
            "down",
            "enabled",
            "exception",
            "guest",
            "host",
            "inexact",
        ),
        *("initial", "interrupt", "little-endian", "no", "off", "overflow", "pending", "raised", "traps"),
        *("S-mode", "U-mode", "underflow", "up", "VS-mode", "VU-mode", "yes"),
    ),
    "lab/page_entries.py": ("accessed", "executable", "readable", "reserved", "valid", "writable"),
    "lab/walks.py": ("G-stage", "VS-stage", "page"),
}

_SPOKEN = re.compile(r"[A-Za-z]{2,}")
_AMOUNT = re.compile(r"\S+ ([KMGT]iB|[mu]s|MHz)")
_FIELD = re.compile(r"\{(\w*)[^{}]*\}")
# A list goes on with "; ", and a hint may stand at its end: phrases of their own.
_HINT = re.compile(r"\{hint\}$|(?<=\})\{\w+\}$")
_ANNOTATION = re.compile(r"[\w\[\], ]+\[.*\]|\w+( \| \w+)+")


def templates(source: str) -> list[str]:
    """Return the templates of a module in their order, each once; values are named as they are there."""
    tree = ast.parse(source)
    apart = _apart(tree)
    found = (_template(node) for node in ast.walk(tree) if id(node) not in apart)
    phrases = (_HINT.sub("", text.removeprefix("; ")) for text in found)
    return list(dict.fromkeys(text for text in phrases if _is_said(text)))


def spoken(emulator: Path) -> Iterator[tuple[str, str]]:
    """Yield what all speakers say, each with the file that says it; `emulator` is the package's directory."""
    for name in SPEAKERS:
        for text in templates((emulator / name).read_text(encoding="utf-8")):
            yield text, f"emulator/{name}"
    for name, words in WORDS.items():
        for word in words:
            yield word, f"emulator/{name}"


def _apart(tree: ast.AST) -> set[int]:
    """Return what is no text of its own: docstrings, and the pieces of f-strings."""
    apart: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            apart.update(id(piece) for piece in node.values)
        elif isinstance(node, ast.Expr):
            apart.add(id(node.value))
    return apart


def _template(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _FIELD.sub(lambda found: f"{{{found[1] or 'value'}}}", node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    text, names = "", list[str]()
    for piece in node.values:
        if isinstance(piece, ast.FormattedValue):
            name = _name(piece.value)
            names.append(name)
            again = names.count(name)
            text += f"{{{name}{again if again > 1 else ''}}}"
        elif isinstance(piece, ast.Constant):
            text += str(piece.value)
    return text


def _name(value: ast.expr) -> str:
    """Return what an expression in an f-string is called: its last name, or that of what it is made of."""
    match value:
        case ast.Name(id=name):
            return name.lower()
        case ast.Attribute(value=owner, attr="name" | "_name" | "value"):
            return _name(owner)
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Subscript(value=owner) | ast.Call(func=owner):
            return _name(owner)
        case _:
            return "value"


def _is_said(text: str) -> bool:
    plain = _FIELD.sub("", text)
    if " " not in text or text.strip() != text or not _SPOKEN.search(plain):
        return False
    return not _AMOUNT.fullmatch(text) and not _ANNOTATION.fullmatch(text)
