"""The real gdb attaches to a guest over a socket and does what a student would do with it."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import PIPE, STDOUT

from app.gdb.packets import encode
from app.gdb.serving import serve
from app.gdb.stub import Stub
from app.workers.session import Session
from tests.conftest import find_tool
from tests.gdb.conftest import Talk

COMMANDS = """
set confirm off
set pagination off
set tcp auto-retry on
target remote 127.0.0.1:{port}
info threads
break *{again:#x}
continue
info symbol $pc
info address value
stepi
printf "t0 is %d at %#lx\\n", $t0, $pc
delete
watch *(long *){value:#x}
continue
printf "watched %d\\n", *(long *){value:#x}
delete
set $t0 = 77
set {{long}} {value:#x} = 500
printf "set %d and %d\\n", $t0, *(long *){value:#x}
break *{again:#x}
continue
reverse-stepi
printf "back at %#lx\\n", $pc
reverse-continue
printf "hgatp mode %d priv %d\\n", (int) ($hgatp >> 60), (int) $priv
x/2i $pc
monitor where
detach
quit
"""


def test_a_session_of_gdb(talk: Talk, session: Session, tmp_path: Path) -> None:
    gdb = find_tool("gdb-multiarch", package="gdb-multiarch")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        again, value = talk.symbol("again"), talk.symbol("value")
        script = tmp_path / "session.gdb"
        port = listener.getsockname()[1]
        script.write_text(COMMANDS.format(port=port, again=again, value=value))
        command = ["-nx", "-batch", "-x", str(script)]
        with subprocess.Popen([gdb, *command], stdout=PIPE, stderr=STDOUT, text=True) as process:
            listener.settimeout(60)
            stub = Stub(talk.stub.target)  # as it is before the first packet
            serving = threading.Thread(target=serve, args=(listener.accept()[0], stub))
            serving.start()
            output, _ = process.communicate(timeout=60)
            serving.join(timeout=60)
    assert process.returncode == 0, output
    for text in (
        "vCPU 0",
        "again in section",
        f'Symbol "value" is at {value:#x}',
        f"Breakpoint 1, {again:#018x}",
        f"t0 is 40 at {again + 4:#x}",
        "Old value = 40",
        "New value = 41",
        "watched 41",
        "set 77 and 500",
        f"back at {again + 12:#x}",
        "hgatp mode 8 priv 1",
        "ld\tt0,0(s0)",
        "position ",
        "detached",
    ):
        assert text in output, output
    assert stub.closed
    verbs = [entry["action"]["verb"] for entry in session.lab.log]
    assert verbs[:2] == ["start", "poke"]


def test_a_lesson_waits_for_its_debugger(project: Path) -> None:
    lesson = project / "lessons" / "01-first-virtual-machine"
    command = [sys.executable, "-m", "app.cli", "run", str(lesson), "--gdb", "a:0", "--json"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=project) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "target remote" in line)
        port = int(said.rpartition(":")[2].rstrip('"\n'))
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(encode(b"s"))
            heard = b""
            while b"#" not in heard:
                heard += connection.recv(100)
            assert heard.startswith(b"+$T05thread:1;")
            connection.sendall(b"+" + encode(b"D"))
            output, _ = process.communicate(timeout=60)
    found = json.loads(output)
    assert process.returncode == 0
    assert found["vms"][0]["cpu"][0]["run_cycles"] == 1, "one step was made, and nothing else"
