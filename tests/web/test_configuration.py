"""A changed configuration becomes ordinary actions, or an error that says where."""

import pytest

from app.desk.config_fields import HOST_FIELDS, VM_FIELDS, form_values
from app.desk.config_text import parse_text
from app.desk.configuration import changes, config_text, parse_fields
from app.desk.problem import Problem
from emulator.lab.config import HOST_KEYS, VM_KEYS, LabConfig
from tests.web.conftest import Student

CONFIG = {
    "host": {"pcpus": 2, "memory": "4 MiB", "clock": "100 MHz", "timeslice": "1 ms"},
    "vms": [
        {"name": "a", "program": "count.s", "vcpus": 1, "memory": "256 KiB"},
        {"name": "b", "program": "hello.s", "vcpus": 1, "memory": "256 KiB"},
    ],
}
NOW = LabConfig.from_dict(CONFIG).to_dict()


def test_the_text_of_a_configuration_means_the_same_configuration() -> None:
    assert parse_text(config_text(NOW)).config == LabConfig.from_dict(NOW)
    assert changes(NOW, parse_text(config_text(NOW))) == []


def test_a_change_of_one_value_is_one_action() -> None:
    wanted = parse_fields({"vms-1-memory": "512 KiB"}, NOW)
    assert [change.action for change in changes(NOW, wanted)] == [
        {"verb": "set_vm", "vm": "b", "memory": "512 KiB"}
    ]


def test_vms_leave_before_the_host_changes_and_come_after_it() -> None:
    fields = {"vms-0-delete": "1", "memory": "2 MiB", "vms-2-name": "c", "vms-2-program": "hello.s"}
    verbs = [change.action["verb"] for change in changes(NOW, parse_fields(fields, NOW))]
    assert verbs == ["undefine", "set_host", "define"]


def test_cpu_time_goes_there_and_back_as_text_and_as_fields() -> None:
    fields = {
        "scheduler": "edf",
        "offline": "1",
        "vms-0-weight": "512",
        "vms-0-cap": "50",
        "vms-0-affinity": "0,3",
        "vms-1-reservation": "30 MHz",
        "vms-1-period": "",
    }
    wanted = parse_fields(fields, NOW)
    assert [change.action for change in changes(NOW, wanted)] == [
        {"verb": "set_host", "scheduler": "edf", "offline": "1"},
        {"verb": "set_vm", "vm": "a", "weight": 512, "cap": 50, "affinity": "0,3"},
        {"verb": "set_vm", "vm": "b", "reservation": "30 MHz"},
    ]
    after = wanted.config.to_dict()
    assert parse_text(config_text(after)).config == wanted.config
    back = changes(after, parse_text(config_text(NOW)))
    assert back[1].action == {"verb": "set_vm", "vm": "a", "weight": 256, "cap": 0, "affinity": ""}


def test_devices_and_command_lines_go_there_and_back_as_text() -> None:
    vm = {**CONFIG["vms"][0], "disk": {"size": "1 MiB", "read_only": True}, "append": "a=1, b: {c} # d"}
    config = LabConfig.from_dict({**CONFIG, "vms": [vm]})
    assert parse_text(config_text(config.to_dict())).config == config
    assert [change.action["verb"] for change in changes(NOW, parse_text(config_text(config.to_dict())))] == [
        "undefine",
        "set_vm",
    ]


def test_a_vm_that_is_renamed_stays_the_same_vm() -> None:
    wanted = parse_fields({"vms-0-name": "web"}, NOW)
    assert [change.action for change in changes(NOW, wanted)] == [
        {"verb": "set_vm", "vm": "a", "name": "web"}
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("host:\n  memory: 7 KiB\n", 2, "multiple of 4 KiB"),
        ("host:\n  pcpus: 1\n  memry: 8 MiB\n", 3, "memory"),
        ("vms:\n  - {name: a}\n", 2, "program"),
        ("host: [", 1, "YAML"),
        ("host: *x\n", 1, "aliases"),
        ("- 1\n", 1, ""),
    ],
)
def test_a_wrong_text_is_refused_at_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_text(text)
    assert caught.value.status == 422
    assert caught.value.diagnostics[0]["line"] == line
    assert words in caught.value.message


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(Problem, match="vms-0-colour") as caught:
        parse_fields({"vms-0-colour": "red"}, NOW)
    assert caught.value.where == "vms-0-colour"


def test_the_page_changes_the_lab(student: Student) -> None:
    reply = student.done("config", **{"timeslice": "200 us", "vms-0-memory": "512 KiB", "vms-0-vcpus": "2"})
    assert [action["verb"] for action in reply["actions"]] == ["set_host", "set_vm"]
    assert reply["state"]["host"]["timeslice_ns"] == 200_000
    assert (reply["vms"][0]["memory"], reply["vms"][0]["vcpus"]) == ("512 KiB", 2)


def test_the_page_changes_cpu_time_of_a_vm_that_is_on(student: Student) -> None:
    student.done("actions", verb="start", vm="b")
    reply = student.done("config", **{"scheduler": "stride", "vms-1-weight": "512", "vms-1-cap": "80"})
    assert [action["verb"] for action in reply["actions"]] == ["set_host", "set_vm"]
    assert reply["state"]["host"]["scheduler"] == "stride"
    assert [(vm["weight"], vm["cap"]) for vm in reply["state"]["vms"]] == [(256, 0), (512, 80)]


def test_a_promise_that_cannot_be_kept_is_refused_at_its_field(student: Student) -> None:
    student.done("actions", verb="start", vm="b")
    response = student.post("config", **{"vms-1-weight": "512", "vms-1-reservation": "30 MHz"})
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["error"]["where"] == "vms[1].reservation"
    assert "choose the scheduler edf" in response.json["error"]["message"]


def test_a_vm_that_is_on_keeps_its_memory_and_the_error_says_which(student: Student) -> None:
    student.done("actions", verb="start", vm="b")
    response = student.post("config", **{"vms-1-memory": "512 KiB"})
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["error"]["where"] == "vms[1].memory"


def test_a_vm_can_be_added_and_deleted(student: Student) -> None:
    fields = {"vms-2-name": "c", "vms-2-memory": "256 KiB", "vms-2-vcpus": "1", "vms-2-program": "hello.s"}
    assert [vm["name"] for vm in student.done("config", **fields)["vms"]] == ["a", "b", "c"]
    assert [vm["name"] for vm in student.done("config", **{"vms-0-delete": "1"})["vms"]] == ["b", "c"]


def test_every_key_of_host_and_vm_has_a_field() -> None:
    elsewhere = {"isa", "costs"}
    assert {key for key in HOST_KEYS if key not in HOST_FIELDS} == elsewhere
    assert {key for key in VM_KEYS if key not in VM_FIELDS} == {"disk", "network"}


def test_memory_and_devices_go_there_and_back_as_fields() -> None:
    fields = {
        "overcommit": "150 %",
        "swap": "4 MiB",
        "ksm": "true",
        "vmid": "off",
        "costs-mmio": "3000",
        "costs-sbi": "",
        "vms-0-memory_limit": "128 KiB",
        "vms-0-balloon": "true",
        "vms-0-paging": "shadow",
        "vms-0-disk-size": "1 MiB",
        "vms-0-disk-volume": "",
        "vms-0-disk-iops": "200",
        "vms-0-disk-read_only": "false",
        "vms-0-disk-cache": "writethrough",
        "vms-0-network-name": "lan",
        "vms-0-network-vlan": "10",
        "vms-0-network-trunk": "20, 30",
        "vms-0-network-link": "up",
        "vms-1-disk-size": "",
        "vms-1-disk-read_only": "false",
        "vms-1-disk-cache": "writethrough",
        "vms-1-network-name": "",
        "vms-1-network-link": "up",
        "vms-1-memory_limit": "",
    }
    after = parse_fields(fields, NOW).config
    assert after.host.giving.overcommit == 150
    assert after.host.giving.ksm
    assert (after.host.vmid, after.host.costs) == (False, (("mmio", 3000),))
    a, b = (vm.to_dict() for vm in after.vms)
    assert a["disk"] == {"size": "1 MiB", "iops": 200}
    assert a["network"] == {"name": "lan", "vlan": 10, "trunk": [20, 30]}
    assert (a["memory_limit"], a["balloon"], a["paging"]) == ("128 KiB", True, "shadow")
    assert b == LabConfig.from_dict(NOW).vms[1].to_dict()  # what is left empty is as by default

    now = after.to_dict()
    shown = form_values(now)
    same = {**shown["host"], **{f"vms-0-{key}": value for key, value in shown["vms"][0].items()}}
    assert changes(now, parse_fields({k: v for k, v in same.items() if k != "isa"}, now)) == []
    assert (shown["networks"], shown["fresh"]["disk-size"]) == (["lan"], "")


def test_limits_and_links_change_by_their_own_actions_so_that_a_vm_may_be_on() -> None:
    vm = {**CONFIG["vms"][0], "disk": "1 MiB", "network": "lan"}
    now = LabConfig.from_dict({**CONFIG, "vms": [vm]}).to_dict()
    steps = changes(now, parse_fields({"vms-0-disk-iops": "100", "vms-0-network-rate": "10 Mbit/s"}, now))
    assert [step.action["verb"] for step in steps] == ["disk_limits", "net_link"]
    assert (steps[0].action["iops"], steps[1].action["rate"]) == (100, "10 Mbit/s")
    steps = changes(now, parse_fields({"vms-0-disk-size": "2 MiB", "vms-0-disk-iops": "100"}, now))
    assert [step.action["verb"] for step in steps] == ["set_vm"]


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("vms-0-disk-iops", "many", "vms[0].disk.iops"),
        ("vms-0-network-vlan", "10", "vms[0].network"),
        ("vms-1-memory_limit", "3 KiB", "vms[1].memory_limit"),
        ("costs-mmio", "-1", "host.costs.mmio"),
        ("swap", "1 MiB", "host.swap"),
        ("overcommit", "much", "host.overcommit"),
        ("vms-0-name", "", "vms[0].name"),
    ],
)
def test_a_wrong_field_is_refused_where_it_stands(field: str, value: str, where: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_fields({field: value}, NOW)
    assert (caught.value.status, caught.value.where) == (422, where)
