"""What the stub answers, without a debugger: the packets of the protocol, and whatever else may come."""

import random
from xml.etree import ElementTree

import pytest

from app.gdb.features import NAMES
from app.gdb.local import LocalMachine
from app.gdb.packets import PACKET_BYTES, Packets, encode, escape, unescape
from app.gdb.stub import Stub, TargetError
from app.gdb.target import VmTarget
from app.workers.session import Session
from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine import elf_symbols
from tests.gdb.conftest import CONFIG, SOURCE, Talk

PC, S0, T0 = 32, 8, 5


def test_packets_come_out_of_any_pieces() -> None:
    data = b"+" + encode(b"qSupported:x") + b"\x03" + encode(escape(b"a#b$c}d*")) + b"$bad#00" + b"-"
    for size in (1, 3, len(data)):
        packets = Packets()
        found = [one for at in range(0, len(data), size) for one in packets.feed(data[at : at + size])]
        assert [kind for kind, _ in found] == ["ack", "packet", "interrupt", "ack", "packet", "ack", "resend"]
        assert found[1][1] == b"qSupported:x"
        assert unescape(found[4][1]) == b"a#b$c}d*"
        assert found[5][1] == b"-"


def test_a_packet_that_never_ends_is_dropped() -> None:
    packets = Packets()
    assert list(packets.feed(b"$" + b"x" * (PACKET_BYTES + 1))) == []
    assert [kind for kind, _ in packets.feed(encode(b"g"))] == ["ack", "packet"]


def test_description_names_every_register_once(talk: Talk) -> None:
    text, reply = "", "m"
    while reply[0] == "m":
        reply = talk.ask(f"qXfer:features:read:target.xml:{len(text):x},200")
        text += unescape(reply[1:].encode("latin-1")).decode()
    names = [one.attrib["name"] for one in ElementTree.fromstring(text).iter("reg")]
    assert tuple(names) == NAMES
    for number, name in enumerate(NAMES):
        assert len(talk.ask(f"p{number:x}")) in (8, 16), name
    assert len(talk.ask("g")) == 33 * 16


def test_breakpoint_watchpoint_and_step(talk: Talk) -> None:
    again, value = talk.symbol("again"), talk.symbol("value")
    assert talk.ask(f"Z0,{again:x},4") == "OK"
    talk.ask("vCont;c")
    assert talk.wait() == "T05thread:1;swbreak:;"
    assert talk.register(PC) == again
    assert talk.ask(f"z0,{again:x},4") == "OK"
    assert talk.ask(f"Z2,{value:x},8") == "OK"
    talk.ask("c")
    assert talk.wait() == f"T05thread:1;watch:{value:x};"
    assert (talk.register(PC), talk.register(T0)) == (again + 12, 41)
    talk.ask("vCont;s:1;c")
    assert talk.wait() == "T05thread:1;"
    assert talk.register(PC) == again


def test_debugging_takes_no_virtual_time(talk: Talk, session: Session) -> None:
    talk.ask(f"Z0,{talk.symbol('again'):x},4")
    for _ in range(20):
        talk.ask("c")
        talk.wait()
        talk.ask("g")
        talk.ask("m80000000,40")
    other = Lab(LabConfig.from_dict(CONFIG), {"count.s": Program("count.s", SOURCE)}, 1, load_engine())
    other.apply({"verb": "start", "vm": "a"})
    other.advance(talk.lab.position)
    assert other.position == talk.lab.position
    assert other.state_hash() == talk.lab.state_hash()


def test_going_back(talk: Talk) -> None:
    again = talk.symbol("again")
    talk.ask(f"Z1,{again:x},4")
    for _ in range(3):
        talk.ask("c")
        talk.wait()
    t0 = talk.register(T0)
    assert talk.ask("bc") == "T05thread:1;"
    assert (talk.register(PC), talk.register(T0)) == (again, t0 - 1)
    assert talk.ask("bs") == "T05thread:1;"
    assert talk.register(PC) == again + 12
    assert [talk.ask("bc") for _ in range(3)][-1] == "T05thread:1;replaylog:begin;"


def test_interrupt_stops_a_guest_that_runs(talk: Talk) -> None:
    talk.ask("c")
    assert talk.stub.poll() == b""
    assert talk.plain(talk.stub.feed(b"\x03")) == "T02thread:1;"
    assert talk.session.mode == "paused"


def test_writes_are_actions_that_a_replay_repeats(talk: Talk) -> None:
    value = talk.symbol("value")
    talk.ask("s")
    talk.wait()
    assert talk.ask(f"P{S0:x}=" + (0x8000_1000).to_bytes(8, "little").hex()) == "OK"
    assert talk.ask(f"M{value:x},8:" + (1000).to_bytes(8, "little").hex()) == "OK"
    assert talk.ask(b"X%x,2:" % (value + 8) + escape(b"#}")) == "OK"
    assert talk.ask(f"m{value:x},a") == (1000).to_bytes(8, "little").hex() + "237d"
    talk.ask(f"P20={(0x8000_0008).to_bytes(8, 'little').hex()}")
    assert talk.register(PC) == 0x8000_0008
    assert [entry["action"]["verb"] for entry in talk.lab.log] == ["start", "poke", "poke", "poke", "poke"]
    talk.ask("s")
    talk.wait()
    assert talk.register(T0) == 1000
    copy = Lab.replay(
        LabConfig.from_dict(CONFIG), talk.lab.programs, 1, talk.lab.log, talk.lab.position, load_engine()
    )
    assert copy.state_hash() == talk.lab.state_hash()


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        ("P0=0000000000000000", "E.register is 'zero'"),
        ("Pff=00", "E16"),
        (f"P{NAMES.index('satp'):x}=0000000000000000", "E.register is 'satp'"),
        (f"P{NAMES.index('ft0'):x}=0000000000000000", "E.a has floating point off"),
        (f"P{PC:x}=0100000000000000", "E.value is 0x1"),
        ("m1000,8", "E14"),
        ("M1000,1:00", "E.a has nothing at GVA 0x1000"),
        ("M80000000,4:00", "E16"),
        ("Z2,1000,8", "E.0x1000 is not mapped"),
        ("Z9,0,0", "E16"),
        ("Z0", "E16"),
        ("p", "E16"),
        ("pxyz", "E16"),
        ("m80000000", "E16"),
        ("T9", "E01"),
        ("Hg9", "E01"),
        ("vMustReplyEmpty", ""),
        ("vCont;x", "E16"),
        ("bx", ""),
        ("qXfer:features:read:other.xml:0,10", "E00"),
        ("bc", "E.set a breakpoint"),
        ("", ""),
        ("\x00\xff", ""),
    ],
)
def test_what_cannot_be_done_gets_an_error(talk: Talk, packet: str, reply: str) -> None:
    assert talk.ask(packet.encode("latin-1")).startswith(reply)
    assert talk.ask("qC") == "QC1"


def test_garbage_ends_nothing(talk: Talk) -> None:
    source = random.Random(1)
    letters = b"?gGpPmMXzZHTcsCSbvqQD!xyz"
    for number in range(3000):
        body = bytes(source.randrange(256) for _ in range(source.randrange(12)))
        packet = encode(bytes((letters[number % len(letters)],)) + escape(body))
        talk.stub.feed(packet if number % 3 else body)
        talk.stub.closed = False
    talk.stub.feed(b"#00\x03")
    for _ in range(5):
        talk.stub.poll()
    assert talk.ask("qAttached") == "1"


def test_threads_are_vcpus(talk: Talk) -> None:
    assert talk.ask("qfThreadInfo") == "m1,2"
    assert talk.ask("qsThreadInfo") == "l"
    assert bytes.fromhex(talk.ask("qThreadExtraInfo,2")) == b"vCPU 1, stopped"
    assert talk.ask("Hg2") == "OK"
    assert talk.ask("qC") == "QC2"
    assert talk.ask("T2") == "OK"


def test_vm_that_is_off_cannot_be_attached_to_and_one_that_goes_off_has_exited(
    talk: Talk, session: Session
) -> None:
    with pytest.raises(TargetError, match="start it first"):
        Stub(VmTarget(LocalMachine(session), "b"))
    session.apply({"verb": "destroy", "vm": "a"})
    talk.ask("c")
    assert talk.wait() == "W00"


def test_monitor_and_leaving(talk: Talk) -> None:
    assert b"position" in bytes.fromhex(talk.ask("qRcmd," + b"where".hex()))
    assert b"help" in bytes.fromhex(talk.ask("qRcmd," + b"?".hex()))
    assert talk.ask("D") == "OK"
    assert talk.stub.closed


def test_symbols_are_a_file_that_is_read_in_pieces(talk: Talk) -> None:
    assert "qXfer:exec-file:read+" in talk.ask("qSupported:x")
    name = talk.ask("qXfer:exec-file:read::0,fff")
    assert name == "l/program.symbols"
    assert talk.ask("vFile:setfs:0") == "F0"
    assert talk.ask(f"vFile:open:{name[1:].encode().hex()},0,0") == "F1"
    status = unescape(talk.ask("vFile:fstat:1").partition(";")[2].encode("latin-1"))
    size = int.from_bytes(status[28:36])
    data = b""
    while piece := talk.ask(f"vFile:pread:1,100,{len(data):x}").partition(";")[2]:
        data += unescape(piece.encode("latin-1"))
    assert len(status) == 64
    assert len(data) == size
    assert elf_symbols.symbols(data)["again"] == talk.symbol("again")
    assert talk.ask("vFile:close:1") == "F0"


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        ("vFile:open:2f6574632f706173737764,0,0", "F-1,2"),  # /etc/passwd
        ("vFile:open:zz,0,0", "E16"),
        ("vFile:pread:1,10", "E16"),
        ("vFile:pread:7,10,0", "F-1,9"),
        ("vFile:pread:1,-10,0", "F-1,16"),
        ("vFile:pread:1,ffffffffffff,ffffffffffffff", "F0;"),
        ("vFile:pwrite:1,0,x", ""),
        ("vFile:unlink:2f", ""),
        ("vFile:", ""),
        ("qXfer:exec-file:read:", "E16"),
        ("qXfer:exec-file:read::ffff,10", "l"),
    ],
)
def test_no_other_file_is_there(talk: Talk, packet: str, reply: str) -> None:
    assert talk.ask(packet) == reply
