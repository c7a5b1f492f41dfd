"""The bench of the page: its figures, the relay that counts, and the lab that it looks at."""

import socket
import threading

from app.lessons import load_course
from emulator.bench.lesson_page import LESSONS, Reading, running_figures
from emulator.bench.relay import relayed
from emulator.state import PAGE_BYTES


def test_the_worst_view_counts() -> None:
    calm = Reading(10.0, states=100, tasks=(), received=100_000, cpu=1.0)
    busy = Reading(10.0, states=80, tasks=(51.0, 90.0), received=500_000, cpu=5.0, main=1.6)
    found = {one.name: one.value for one in running_figures({"overview": calm, "memory": busy})}
    assert found["page.updates_per_s"] == 8
    assert found["page.long_tasks_over_50ms"] == 2
    assert found["page.longest_task_ms"] == 90
    assert found["page.stream.kB_per_s"] == 50
    assert found["page.overview.stream.kB_per_s"] == 10
    assert found["page.memory.cpu_percent"] == 50
    assert found["page.memory.main_thread_ms_per_update"] == 20


def test_the_relay_counts_what_the_server_sends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            one, _ = server.accept()
            one.sendall(one.recv(100) * 3)
            one.close()

        threading.Thread(target=answer).start()
        with relayed(f"http://127.0.0.1:{server.getsockname()[1]}") as relay:
            with socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2]))) as client:
                client.sendall(b"four")
                got = b""
                while data := client.recv(100):
                    got += data
            assert got == b"four" * 3
            assert relay.received == 12


def test_the_heavy_lab_is_as_large_as_a_page_has_to_show() -> None:
    course = load_course(LESSONS)
    assert not course.broken
    lab = course.lesson("heavy-lab").drawn(1).lab_config
    assert (lab.host.pcpus, lab.host.memory // PAGE_BYTES) == (8, 262_144)
    assert sum(vm.vcpus for vm in lab.vms) == 32
