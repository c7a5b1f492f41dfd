"""The side of the gdb remote serial protocol that a debugger talks to: packets in, packets out, no sockets.

Source: Debugging with GDB (13.1), appendix "GDB Remote Serial Protocol". All-stop mode; a thread is a vCPU,
numbered from 1. Going back is `bs` and `bc`. Of files there is one, with symbols (`files.py`). Left out:
non-stop mode, multiprocess, tracepoints.
Whatever comes, a reply goes out and nothing else happens: a packet that is not understood gets the empty
reply, one that is wrong an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.gdb.features import GENERAL, NAMES, REGISTER_BYTES, target_description
from app.gdb.files import Files
from app.gdb.packets import PACKET_BYTES, Packets, encode, escape, unescape

SIGINT, SIGTRAP = 2, 5
MAX_MEMORY = PACKET_BYTES // 4
MAX_STOPS = 16
STOP_KINDS = ("software", "hardware", "store", "load", "any")  # Z0..Z4
SYMBOL_FILE = "program.symbols"
WATCH_NAMES = {"store": "watch", "load": "rwatch", "any": "awatch"}
SUPPORTED = (
    f"PacketSize={PACKET_BYTES:x};qXfer:features:read+;swbreak+;hwbreak+;vContSupported+;QStartNoAckMode+"
    ";ReverseStep+;ReverseContinue+;qXfer:exec-file:read+"
)


class TargetError(Exception):
    """Something cannot be done; the message is shown by gdb."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A place to stop at: `kind` is one of STOP_KINDS, `length` bytes are watched."""

    kind: str
    address: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why it stands: `met` is the stop that was met, `gone` the end of the VM, `start` the first instant."""

    vcpu: int = 0
    signal: int = SIGTRAP
    met: Stop | None = None
    gone: bool = False
    start: bool = False


class Target(Protocol):
    """A VM as a debugger sees it. Every method may raise TargetError."""

    def vcpus(self) -> list[str]:
        """Return the state of each vCPU in a word."""
        ...

    def registers(self, vcpu: int) -> dict[str, int]:
        """Return registers by name (features.NAMES)."""
        ...

    def write_register(self, vcpu: int, name: str, value: int) -> None:
        """Write a register."""
        ...

    def read_memory(self, vcpu: int, address: int, length: int) -> bytes:
        """Return memory by virtual address, as much of it as there is in one piece."""
        ...

    def write_memory(self, vcpu: int, address: int, data: bytes) -> None:
        """Write memory by virtual address."""
        ...

    def place(self, vcpu: int, stop: Stop) -> None:
        """Raise TargetError if a stop is impossible."""
        ...

    def resume(self, stops: list[Stop]) -> None:
        """Run until a stop is met, the VM is off, or `pause`."""
        ...

    def step(self, vcpu: int) -> None:
        """Run until a vCPU has executed an instruction."""
        ...

    def back(self, vcpu: int | None, stops: list[Stop]) -> Stopped:
        """Go back by an instruction of a vCPU, or to the last of the stops."""
        ...

    def pause(self) -> None:
        """Let the lab stand."""
        ...

    def stopped(self) -> Stopped | None:
        """Return why the lab stands, None while it runs."""
        ...

    def monitor(self, line: str) -> str:
        """Return what a `monitor` command prints."""
        ...

    def symbol_file(self) -> bytes:
        """Return the symbols of the VM's program as an ELF file, empty if it has none."""
        ...


class Stub:
    """One connection of a debugger to one VM."""

    def __init__(self, target: Target) -> None:
        """Talk about `target`, which stands."""
        self.target = target
        self.closed = False
        self.running = False
        self._packets = Packets()
        self._last = b""
        self._interrupted = False
        self._vcpu = 0
        self._stops: list[Stop] = []
        self._files = Files(SYMBOL_FILE, target.symbol_file)
        self._commands: dict[str, Callable[[str], str | bytes | None]] = {
            "?": lambda _rest: self._report(self.target.stopped() or Stopped()),
            "g": self._read_all,
            "p": self._read_one,
            "P": self._write_one,
            "m": self._read_memory,
            "M": self._write_memory,
            "Z": self._add_stop,
            "z": self._remove_stop,
            "H": self._choose,
            "T": lambda rest: "OK" if self._thread(rest) is not None else "E01",
            "c": lambda rest: self._resume("c", rest),
            "s": lambda rest: self._resume("s", rest),
            "C": lambda rest: self._resume("c", rest.partition(";")[2]),
            "S": lambda rest: self._resume("s", rest.partition(";")[2]),
            "b": self._back,
            "v": self._verbose,
            "q": self._query,
            "Q": self._set,
            "D": self._detach,
            "k": self._kill,
            "!": lambda _rest: "",
        }

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the debugger; return bytes for it."""
        out: list[bytes] = []
        for kind, payload in self._packets.feed(data):
            if kind == "ack":
                out.append(payload)
            elif kind == "resend":
                out.append(self._last)
            elif kind == "interrupt":
                out.append(self._interrupt())
            else:
                out.append(self._send(self._answer(payload)))
        return b"".join(out)

    def poll(self) -> bytes:
        """Return what is to be said because the lab has stopped; call it often while `running`."""
        if not self.running:
            return b""
        try:
            stopped = self.target.stopped()
        except TargetError:
            stopped = Stopped(self._vcpu, gone=True)
        if stopped is None:
            return b""
        self.running = False
        if self._interrupted:
            stopped = Stopped(stopped.vcpu, SIGINT, gone=stopped.gone)
        self._interrupted = False
        return self._send(self._report(stopped))

    def _send(self, reply: str | bytes | None) -> bytes:
        if reply is None:
            return b""
        self._last = encode(reply if isinstance(reply, bytes) else reply.encode("ascii", "replace"))
        return self._last

    def _answer(self, payload: bytes) -> str | bytes | None:
        if payload.startswith(b"X"):
            return self._guarded(lambda: self._write_binary(payload[1:]))
        text = payload.decode("latin-1")
        if text.startswith("qXfer:features:read:"):
            return self._guarded(lambda: self._features(text.removeprefix("qXfer:features:read:")))
        if text.startswith("qXfer:exec-file:read:"):
            return self._guarded(lambda: self._program(text.removeprefix("qXfer:exec-file:read:")))
        command = self._commands.get(text[:1])
        return "" if command is None else self._guarded(lambda: command(text[1:]))

    def _guarded(self, work: Callable[[], str | bytes | None]) -> str | bytes | None:
        try:
            return work()
        except TargetError as error:
            return f"E.{error}".replace("#", " ").replace("$", " ")
        except (ValueError, IndexError):
            return "E16"  # EINVAL: not the shape that this packet has

    # Registers and memory

    def _read_all(self, _rest: str) -> str:
        values = self.target.registers(self._vcpu)
        return "".join(_register(values, name) for name in GENERAL)

    def _read_one(self, rest: str) -> str:
        return _register(self.target.registers(self._vcpu), NAMES[_number(rest)])

    def _write_one(self, rest: str) -> str:
        number, _, value = rest.partition("=")
        name = NAMES[_number(number)]
        self.target.write_register(self._vcpu, name, int.from_bytes(bytes.fromhex(value)[:8], "little"))
        return "OK"

    def _read_memory(self, rest: str) -> str:
        address, length = _numbers(rest, ",")
        if length == 0:
            return ""
        data = self.target.read_memory(self._vcpu, address, min(length, MAX_MEMORY))
        return data.hex() or "E14"  # EFAULT

    def _write_memory(self, rest: str) -> str:
        place, _, text = rest.partition(":")
        return self._write(place, bytes.fromhex(text))

    def _write_binary(self, rest: bytes) -> str:
        place, _, data = rest.partition(b":")
        return self._write(place.decode("latin-1"), unescape(data))

    def _write(self, place: str, data: bytes) -> str:
        address, length = _numbers(place, ",")
        if len(data) != length:
            return "E16"
        if data:
            self.target.write_memory(self._vcpu, address, data)
        return "OK"

    # Stops, running, going back

    def _stop_of(self, rest: str) -> Stop:
        kind, address, length = rest.split(";")[0].split(",")
        name = STOP_KINDS[_number(kind)]
        return Stop(name, _number(address), _number(length) if name in WATCH_NAMES else 1)

    def _add_stop(self, rest: str) -> str:
        stop = self._stop_of(rest)
        if stop not in self._stops:
            if len(self._stops) >= MAX_STOPS:
                raise TargetError(f"a host has room for {MAX_STOPS} stops")
            self.target.place(self._vcpu, stop)
            self._stops.append(stop)
        return "OK"

    def _remove_stop(self, rest: str) -> str:
        stop = self._stop_of(rest)
        if stop in self._stops:
            self._stops.remove(stop)
        return "OK"

    def _resume(self, action: str, rest: str, vcpu: int | None = None) -> None:
        if rest and action in ("c", "s"):
            self.target.write_register(self._vcpu, "pc", _number(rest))
        if action == "s":
            self.target.step(self._vcpu if vcpu is None else vcpu)
        else:
            self.target.resume(self._stops)
        self.running = True
        self._interrupted = False

    def _interrupt(self) -> bytes:
        if not self.running:
            return b""
        self._interrupted = True
        try:
            self.target.pause()
        except TargetError:
            return b""
        return self.poll()

    def _back(self, rest: str) -> str:
        if rest not in ("s", "c"):
            return ""
        return self._report(self.target.back(self._vcpu if rest == "s" else None, self._stops))

    def _report(self, stopped: Stopped) -> str:
        if stopped.gone:
            return "W00"
        self._vcpu = stopped.vcpu
        parts = [f"thread:{stopped.vcpu + 1:x};"]
        if stopped.start:
            parts.append("replaylog:begin;")
        if stopped.met is not None:
            kind = stopped.met.kind
            watched = f"{WATCH_NAMES[kind]}:{stopped.met.address:x};" if kind in WATCH_NAMES else ""
            parts.append(watched or ("swbreak:;" if kind == "software" else "hwbreak:;"))
        return f"T{stopped.signal:02x}{''.join(parts)}"

    # Threads, queries

    def _thread(self, text: str) -> int | None:
        """Return the vCPU that a thread id names: the one that was chosen last for "any" and "all"."""
        number = -1 if text == "-1" else _number(text)
        if number <= 0:
            return self._vcpu
        return number - 1 if number <= len(self.target.vcpus()) else None

    def _choose(self, rest: str) -> str:
        vcpu = self._thread(rest[1:])
        if rest[:1] not in ("g", "c") or vcpu is None:
            return "E01"
        self._vcpu = vcpu
        return "OK"

    def _verbose(self, rest: str) -> str | bytes | None:
        if rest == "Cont?":
            return "vCont;c;C;s;S"
        if rest.startswith("File:"):
            return self._files.answer(rest.removeprefix("File:"))
        if rest.startswith("Cont;"):
            return self._continue(rest.removeprefix("Cont;"))
        if rest.startswith("Kill"):
            self.closed = True
            return "OK"
        return ""

    def _continue(self, rest: str) -> None:
        """Carry out vCont: the first action that steps decides; else everything runs."""
        for action in rest.split(";"):
            verb, _, thread = action.partition(":")
            if verb[:1] in ("s", "S"):
                return self._resume("s", "", self._thread(thread) if thread else None)
            if verb[:1] not in ("c", "C"):
                raise ValueError(f"vCont action {verb!r}")
        return self._resume("c", "")

    def _query(self, rest: str) -> str:
        name, _, value = rest.partition(":")
        threads = len(self.target.vcpus())
        if rest.startswith("ThreadExtraInfo,"):
            vcpu = self._thread(rest.partition(",")[2])
            return "E01" if vcpu is None else f"vCPU {vcpu}, {self.target.vcpus()[vcpu]}".encode().hex()
        if rest.startswith("Rcmd,"):
            line = bytes.fromhex(rest.partition(",")[2]).decode("utf-8", "replace")
            return self.target.monitor(line).encode().hex() or "OK"
        del value
        answers = {
            "Supported": SUPPORTED,
            "fThreadInfo": "m" + ",".join(f"{number:x}" for number in range(1, threads + 1)),
            "sThreadInfo": "l",
            "C": f"QC{self._vcpu + 1:x}",
            "Attached": "1",
            "Symbol": "OK",
        }
        return answers.get(name, "")

    def _set(self, rest: str) -> str:
        if rest != "StartNoAckMode":
            return ""
        self._packets.acknowledges = False
        return "OK"

    def _features(self, rest: str) -> bytes:
        annex, _, place = rest.partition(":")
        offset, length = _numbers(place, ",")
        if annex != "target.xml":
            return b"E00"
        text = target_description().encode()
        part = text[offset : offset + min(length, PACKET_BYTES // 2)]
        return (b"m" if offset + len(part) < len(text) else b"l") + escape(part)

    def _program(self, rest: str) -> str:
        """Return the name of what runs, which gdb then reads; an error where it has no symbols."""
        _, _, place = rest.partition(":")
        offset, length = _numbers(place, ",")
        if not self.target.symbol_file():
            return "E00"
        name = f"/{SYMBOL_FILE}"
        part = name[offset : offset + length]
        return ("m" if offset + len(part) < len(name) else "l") + part

    def _detach(self, _rest: str) -> str:
        self.closed = True
        return "OK"

    def _kill(self, _rest: str) -> None:
        """End the connection; the VM stays as it is: to switch it off is the student's decision."""
        self.closed = True


def _register(values: dict[str, int], name: str) -> str:
    length = REGISTER_BYTES[name]
    return (values[name] & (1 << 8 * length) - 1).to_bytes(length, "little").hex()


def _number(text: str) -> int:
    """Return a hexadecimal number of 64 bits; raise ValueError."""
    if not text or len(text) > 16 or not all(digit in "0123456789abcdefABCDEF" for digit in text):
        raise ValueError(text)
    return int(text, 16)


def _numbers(text: str, separator: str) -> tuple[int, int]:
    first, _, second = text.partition(separator)
    return _number(first), _number(second)
