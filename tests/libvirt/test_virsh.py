"""The host console: virsh's commands, with virsh's output, as actions of the lab."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import VmLabError
from emulator.lab import Lab
from emulator.libvirt import Change, interpret
from emulator.libvirt.commands import COMMANDS
from tests.libvirt.conftest import Type


def test_list_looks_like_virsh(virsh: Type) -> None:
    virsh("start db")
    assert virsh("list --all") == (
        " Id   Name   State\n-----------------------\n 2    db     running\n -    web    shut off\n\n"
    )
    assert virsh("list") == " Id   Name   State\n----------------------\n 2    db     running\n\n"
    assert virsh("list --inactive --name") == "web\n\n"


def test_a_vm_lives_by_commands_which_are_actions_of_the_log(lab: Lab, virsh: Type) -> None:
    assert virsh("start web") == "Domain 'web' started\n\n"
    assert virsh("suspend web") == "Domain 'web' suspended\n\n"
    assert virsh("domstate web") == "paused\n\n"
    assert virsh("resume web") == "Domain 'web' resumed\n\n"
    assert virsh("destroy web") == "Domain 'web' destroyed\n\n"
    assert virsh("undefine web") == "Domain 'web' has been undefined\n\n"
    assert [entry["action"]["verb"] for entry in lab.log] == [
        "start",
        "suspend",
        "resume",
        "destroy",
        "undefine",
    ]


def test_what_the_lab_refuses_is_an_error_as_virsh_prints_it(lab: Lab, virsh: Type) -> None:
    answer = virsh("resume web")
    assert answer.startswith("error: Failed to resume domain 'web'\nerror: ")
    assert "shut off" in answer
    assert lab.log == []


def test_a_domain_is_found_by_name_id_and_uuid(virsh: Type) -> None:
    virsh("start db")
    uuid = virsh("domuuid db").strip()
    assert virsh(f"domname {uuid}") == virsh("domname 2") == "db\n\n"
    assert virsh("domid --domain db") == "2\n\n"
    assert virsh("domid nobody") == "error: failed to get domain 'nobody'; domains here: db, web\n"


def test_cpu_time_is_the_time_on_pcpus(lab: Lab, virsh: Type) -> None:
    virsh("start web")
    lab.advance(lab.position_at(20_000_000))
    stats = dict(line.strip().split("=") for line in virsh("domstats web").splitlines()[1:] if line)
    assert int(stats["cpu.time"]) == 20_000_000, "its second vCPU was never started"
    assert (stats["vcpu.0.state"], stats["vcpu.1.state"]) == ("1", "0")
    assert stats["vcpu.current"] == "2"
    assert stats["state.state"] == "1"
    assert "CPU time:       0.0s" in virsh("dominfo web")


def test_schedinfo_shows_and_sets_what_the_scheduler_knows(lab: Lab, virsh: Type) -> None:
    shown = virsh("schedinfo db")
    assert shown.splitlines()[:3] == [
        "Scheduler      : stride",
        "weight         : 512",
        "cap            : 50",
    ]
    assert "weight         : 100" in virsh("schedinfo db --weight 100")
    virsh("schedinfo db --set cap=25")
    assert (lab.vm_configs["db"].cpu.weight, lab.vm_configs["db"].cpu.cap) == (100, 25)
    assert virsh("schedinfo db --set colour=red").startswith("error: --set takes")


def test_vcpus_are_pinned_counted_and_added(lab: Lab, virsh: Type) -> None:
    assert (
        virsh("vcpupin web") == " VCPU   CPU Affinity\n----------------------\n 0      0-1\n 1      0-1\n\n"
    )
    assert virsh("vcpupin web 0 1") == "\n"
    assert lab.vm_configs["web"].cpu.affinity == (1,)
    virsh("start web")
    assert virsh("setvcpus web 3 --live") == "\n"
    assert virsh("vcpucount web").splitlines()[-2].split() == ["current", "live", "3"]
    assert virsh("vcpuinfo web").count("CPU Affinity:   -y") == 3


def test_memory_has_virsh_units(lab: Lab, virsh: Type) -> None:
    assert virsh("setmaxmem web 3MiB") == "\n"
    assert virsh("setmem db 4096") == "\n"
    assert [config.memory for config in lab.vm_configs.values()] == [3 << 20, 4 << 20]
    assert "unknown suffix" in virsh("setmem db 4QiB")


def test_setmem_asks_the_guest_of_a_vm_that_is_on(lab: Lab, virsh: Type) -> None:
    lab.apply({"verb": "set_vm", "vm": "db", "balloon": True})
    virsh("start db")
    assert virsh("setmem db 1MiB") == "\n"
    assert lab.log[-1]["action"] == {"verb": "set_balloon", "vm": "db", "target": "1 MiB"}
    assert "Used memory:    2048 KiB" in virsh("dominfo db"), "the guest has given nothing yet"
    assert "higher than max memory" in virsh("setmem db 4MiB")
    virsh("start web")
    assert "has no balloon" in virsh("setmem web 512")


def test_snapshots_are_taken_listed_reverted_and_deleted(lab: Lab, virsh: Type) -> None:
    virsh("start web")
    assert virsh("snapshot-create-as web clean") == "Domain snapshot clean created\n\n"
    lab.advance(lab.position_at(1_000_000))
    virsh("snapshot-create-as web later")
    listed = virsh("snapshot-list web").splitlines()
    assert [line.split() for line in listed[2:4]] == [
        ["clean", "0.000000", "s", "running"],
        ["later", "0.001000", "s", "running"],
    ]
    assert virsh("snapshot-list web --tree") == "clean\n  +- later\n\n"
    assert virsh("snapshot-current web") == "later\n\n"
    assert virsh("snapshot-parent web later") == "clean\n\n"
    assert virsh("snapshot-revert web clean") == "Domain snapshot clean reverted\n\n"
    assert "Current:        yes" in virsh("snapshot-info web clean")
    assert virsh("snapshot-delete web clean --children") == "Domain snapshot clean deleted\n\n"
    assert "snapshot not found: 'current'; snapshots of web: none" in virsh("snapshot-info web")


def test_a_domain_is_cloned(lab: Lab, virsh: Type) -> None:
    assert virsh("clone web web-2 --full") == "Clone 'web-2' created successfully.\n\n"
    assert virsh("domuuid web") != virsh("domuuid web-2")


def test_the_host_tells_what_it_is(virsh: Type) -> None:
    assert "CPU(s):              2\n" in virsh("nodeinfo")
    assert "Memory size:         16384 KiB\n" in virsh("nodeinfo")
    assert virsh("nodememstats").startswith("total:                 16384 KiB")
    assert virsh("hostname") == "vmlab\n\n"


def test_help_lists_every_command_and_explains_each(virsh: Type) -> None:
    listed = virsh("help")
    for name, one in COMMANDS.items():
        assert f"    {name} " in listed
        assert one.summary in virsh(f"help {name}")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("strat web", "unknown command: 'strat'; did you mean `start`?"),
        ("start", "command 'start' requires <domain> option"),
        ("start web db", "unexpected data 'db'"),
        ("start web --force", "doesn't support option --force"),
        ('start "web', "no closing quotation"),
        ("setvcpus web many", "malformed or out of range"),
        ("schedinfo web --weight", "expected syntax: --weight <value>"),
        ("define", "requires <xml>"),
        ("x" * 70_000, "at most 65536 are read"),
    ],
)
def test_a_line_that_is_no_command_says_why(virsh: Type, line: str, problem: str) -> None:
    answer = virsh(line)
    assert answer.startswith("error: ")
    assert problem in answer


WORDS = st.sampled_from(
    [*COMMANDS, "web", "2", "--all", "--config", "--set", "a=1", "<a/>", "", "-1", "9" * 30]
)


@given(words=st.lists(WORDS | st.text(max_size=12), max_size=5))
def test_no_line_breaks_the_console(lab_once: Lab, words: list[str]) -> None:
    try:
        answer = interpret(lab_once, " ".join(words))
    except VmLabError as error:
        answer = str(error)
    assert isinstance(answer, str | Change)
