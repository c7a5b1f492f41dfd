"""`vmlab disk`: information about disk images, conversion, checks and new ones; raw and qcow2.

The same files as QEMU's: `qemu-img check` and `qemu-img convert` read what is written here, and the other
way round.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from app.commands import Subparsers
from emulator.errors import VmLabError

EXAMPLES = """\
examples:
  vmlab disk create base.qcow2 64MiB
  vmlab disk create -b base.qcow2 web.qcow2          an overlay over it
  vmlab disk convert -O raw web.qcow2 web.img        one image without a backing file
  vmlab disk convert -c -O qcow2 web.img small.qcow2
  vmlab disk check web.qcow2                         exit status 0 clean, 1 errors, 3 leaks
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab disk`."""
    parser = subparsers.add_parser(
        "disk",
        help="inspect, convert, check and create disk images",
        description="Work with disk images in raw and qcow2 format, as QEMU uses them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="disk_verb", metavar="VERB", required=True)
    _add_info(verbs)
    _add_convert(verbs)
    _add_check(verbs)
    _add_create(verbs)


def _add_info(verbs: Any) -> None:
    parser = verbs.add_parser(
        "info",
        help="say what an image is",
        description="Print format, virtual size, size of the file and the chain of backing files.",
    )
    parser.add_argument("image", type=Path, help="the image")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_trust(parser)


def _add_convert(verbs: Any) -> None:
    parser = verbs.add_parser(
        "convert",
        help="copy an image into another format",
        description="Copy what an image reads as, with its backing files, into one new image."
        " Zeros take no space. The target is replaced when all is written.",
    )
    parser.add_argument("source", type=Path, help="the image to read")
    parser.add_argument("target", type=Path, help="the image to write")
    _add_format(parser, "-f", "source_format", "format of the source (default: what its first bytes say)")
    _add_format(parser, "-O", "target_format", "format of the target (default: raw)")
    parser.add_argument("-c", dest="compress", action="store_true", help="compress clusters (qcow2)")
    parser.add_argument("--cluster-size", metavar="SIZE", help="of a qcow2 target, 512 B to 2 MiB (64 KiB)")
    _add_trust(parser)


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check",
        help="compare references and refcounts of a qcow2 image",
        description="Follow every table of a qcow2 image and compare references with refcounts."
        " Exit status: 0 clean, 1 errors, 2 the image cannot be read, 3 only leaks. Nothing is repaired.",
    )
    parser.add_argument("image", type=Path, help="the image")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_create(verbs: Any) -> None:
    parser = verbs.add_parser(
        "create",
        help="make an empty image or an overlay",
        description="Make an empty image, or with -b an overlay that reads as its backing file.",
    )
    parser.add_argument("image", type=Path, help="the image to make; it must not exist")
    parser.add_argument("size", nargs="?", help="e.g. 64MiB; of an overlay that of its backing by default")
    _add_format(parser, "-f", "target_format", "format (default: qcow2)")
    parser.add_argument("-b", dest="backing", type=Path, metavar="FILE", help="the backing file")
    _add_format(parser, "-F", "backing_format", "format of the backing file (default: probed)")
    parser.add_argument("--cluster-size", metavar="SIZE", help="512 B to 2 MiB (default 64 KiB)")


def _add_format(parser: argparse.ArgumentParser, flag: str, name: str, text: str) -> None:
    parser.add_argument(flag, dest=name, choices=("raw", "qcow2"), help=text)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-backing",
        action="store_true",
        help="follow backing files outside the image's folder, too: only for images that you made yourself",
    )


def main(args: argparse.Namespace) -> int:
    """Do one verb; return the exit status."""
    verbs = {"info": _info, "convert": _convert, "check": _check, "create": _create}
    return verbs[args.disk_verb](args)


def _info(args: argparse.Namespace) -> int:
    from app.disk_images import Qcow2Layer, open_chain

    with open_chain(args.image, trusted=args.trust_backing) as chain:
        layers: list[dict[str, Any]] = []
        for layer in chain.layers:
            found: dict[str, Any] = {
                "path": str(layer.path),
                "format": layer.format,
                "virtual_size": layer.size,
                "file_size": layer.path.stat().st_size,
            }
            if isinstance(layer, Qcow2Layer):
                header = layer.image.header
                found |= {"version": header.version, "cluster_size": header.cluster_bytes}
                found |= {"backing": header.backing, "backing_format": header.backing_format}
                found |= {"dirty": header.dirty, "snapshots": header.snapshots}
            layers.append(found)
    if args.json:
        print(json.dumps(layers, indent=2))
        return 0
    for number, found in enumerate(layers):
        if number:
            print(f"\nbacking file {number}:")
        for key, value in found.items():
            shown = f"{value} bytes" if key.endswith("size") else value
            if value not in ("", None):
                print(f"{key.replace('_', ' ')}: {shown}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from app.disk_images import convert, open_chain

    form = args.target_format or "raw"
    if form == "raw" and (args.compress or args.cluster_size):
        raise VmLabError("a raw image has no clusters to compress; use -O qcow2")
    with open_chain(args.source, args.source_format, trusted=args.trust_backing) as chain:
        if args.target.resolve() in {layer.path.resolve() for layer in chain.layers}:
            raise VmLabError(f"{args.target} is read from; name another target")
        convert(chain, args.target, form, _cluster_bits(args.cluster_size), args.compress)
    return 0


def _check(args: argparse.Namespace) -> int:
    from app.disk_images import probe
    from emulator.hypervisor.storage.qcow2 import Qcow2Error, check

    if not args.image.is_file():
        raise VmLabError(f"{args.image}: there is no such file")
    if probe(args.image) == "raw":
        raise VmLabError(f"{args.image}: it is no qcow2 image, and a raw one has nothing to check")
    try:
        with args.image.open("rb") as file:
            report = check(file)
    except Qcow2Error as error:
        raise Qcow2Error(f"{args.image}: {error}") from error
    if args.json:
        print(json.dumps({**vars(report), "clean": report.clean}, indent=2))
    else:
        for text in report.errors:
            print(f"error: {text}")
        print(f"{report.error_count} errors, {report.leaks} leaked clusters")
        print(f"{report.allocated} of {report.total} clusters allocated, {report.compressed} compressed")
    return 1 if report.error_count else 3 if report.leaks else 0


def _create(args: argparse.Namespace) -> int:
    from app.disk_images import open_chain, probe, written_whole
    from emulator.hypervisor.storage.qcow2 import write_image

    form = args.target_format or "qcow2"
    if args.image.exists():
        raise VmLabError(f"{args.image} exists already; name another file or remove it")
    if form == "raw" and args.backing:
        raise VmLabError("a raw image has no backing file; make it qcow2")
    size = _size(args.size, "size") if args.size else None
    backing, backing_format = "", ""
    if args.backing:
        backing = str(args.backing)
        below = args.image.parent / args.backing
        backing_format = args.backing_format or probe(below)
        with open_chain(below, backing_format, backing=False) as chain:
            size = size or chain.size
    if size is None:
        raise VmLabError("give a size, e.g. 64MiB, or a backing file with -b")
    with written_whole(args.image) as out:
        if form == "raw":
            out.truncate(size)
        else:
            write_image(out, size, (), _cluster_bits(args.cluster_size), backing, backing_format)
    return 0


def _size(text: str, what: str) -> int:
    from emulator.lab.quantities import SIZE_UNITS, parse_quantity

    try:
        return parse_quantity(int(text) if text.isdigit() else text, SIZE_UNITS, "64MiB")
    except ValueError as error:
        raise VmLabError(f"{what}: {error}") from error


def _cluster_bits(text: str | None) -> int:
    size = _size(text, "--cluster-size") if text else 64 << 10
    if size & size - 1 or not 512 <= size <= 2 << 20:
        raise VmLabError(f"--cluster-size: {size} bytes; must be a power of 2 from 512 to 2 MiB")
    return size.bit_length() - 1
