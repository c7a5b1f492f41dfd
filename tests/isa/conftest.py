"""LLVM's assembler (in ziglang) as the reference for ours, run once for thousands of lines."""

import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

TARGET = "riscv64-freestanding-none"
CPU = "generic_rv64+m+a+f+d+c+h+zba+zbb+zbs+zicond+svinval+zifencei+zihintpause+zicbom+zicboz+zicbop"

AssembleLines = Callable[[Sequence[str]], list[bytes]]


def run_zig(*arguments: str) -> None:
    """Run zig; a failure shows what it said."""
    command = [sys.executable, "-m", "ziglang", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def section_headers(elf: bytes) -> list[tuple[int, ...]]:
    """Read the section headers of an ELF64 file."""
    offset, count = struct.unpack_from("<Q", elf, 0x28)[0], struct.unpack_from("<H", elf, 0x3C)[0]
    return [struct.unpack_from("<IIQQQQIIQQ", elf, offset + 64 * index) for index in range(count)]


def named_places(elf: bytes) -> tuple[bytes, dict[str, int]]:
    """Return the bytes of the section that holds the symbol `L0`, and every symbol's offset."""
    headers = section_headers(elf)
    table = next(header for header in headers if header[1] == 2)  # SHT_SYMTAB
    names = headers[table[6]]
    places: dict[str, int] = {}
    home = 0
    for offset in range(table[4], table[4] + table[5], 24):
        name, _info, _other, section, value, _size = struct.unpack_from("<IBBHQQ", elf, offset)
        start = names[4] + name
        text = elf[start : elf.index(b"\0", start)].decode()
        places[text] = value
        home = section if text == "L0" else home
    return elf[headers[home][4] : headers[home][4] + headers[home][5]], places


@pytest.fixture(scope="session")
def llvm_lines(tmp_path_factory: pytest.TempPathFactory) -> AssembleLines:
    """Assemble statements, each on its own; return the bytes of each."""
    directory = tmp_path_factory.mktemp("llvm")

    def assemble_lines(lines: Sequence[str]) -> list[bytes]:
        text = [".option norelax", ".text"]
        for number, line in enumerate(lines):
            text += [".option push", _options(line), f"L{number}: {line}", ".option pop"]
        text.append(f"L{len(lines)}:\n")
        return compile_and_split(directory, "\n".join(text), len(lines))

    return assemble_lines


def _options(line: str) -> str:
    """Keep LLVM from improving on what is written: by compressing, or by `li` with Zbs instructions."""
    if line.startswith("li "):
        return ".option arch, rv64i"
    return ".option rvc" if line.startswith("c.") else ".option norvc"


def compile_and_split(directory: Path, text: str, count: int) -> list[bytes]:
    """Compile assembly whose statements are labelled L0, L1, ...; return what stands between the labels."""
    source, target = directory / "lines.s", directory / "lines.o"
    source.write_text(text, encoding="utf-8")
    run_zig("cc", "-target", TARGET, f"-mcpu={CPU}", "-c", str(source), "-o", str(target))
    code, places = named_places(target.read_bytes())
    return [code[places[f"L{number}"] : places[f"L{number + 1}"]] for number in range(count)]
