"""Lab configurations: what is accepted, and how every mistake is named and located."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.lab.config import DiskConfig, HostConfig, LabConfig, VmConfig
from emulator.lab.values import ConfigError

LAB = {
    "host": {"pcpus": 2, "memory": "8 MiB", "clock": "100 MHz", "timeslice": "1 ms"},
    "vms": [{"name": "a", "vcpus": 1, "memory": "1 MiB", "program": "hello.s", "autostart": False}],
}


def test_lesson_front_matter_is_read() -> None:
    config = LabConfig.from_dict(LAB)
    assert config.host == HostConfig(2, 8 << 20, 100_000_000, 1_000_000)
    assert config.vms == (VmConfig("a", "hello.s", 1, 1 << 20, False, "crash"),)


def test_written_configuration_reads_back() -> None:
    config = LabConfig.from_dict(LAB)
    assert LabConfig.from_dict(config.to_dict()) == config


def test_extensions_read_back_and_are_left_out_where_all_are_there() -> None:
    host = HostConfig.from_dict({"isa": "RV64IMACH"})
    assert "f" not in host.isa
    assert HostConfig.from_dict(host.to_dict()) == host
    assert "isa" not in HostConfig().to_dict()


def test_a_command_line_reads_back_and_is_left_out_where_there_is_none() -> None:
    config = VmConfig.from_dict({"name": "a", "program": "linux", "append": "console=hvc0 quiet"}, "vm")
    assert config.append == "console=hvc0 quiet"
    assert VmConfig.from_dict(config.to_dict(), "vm") == config
    assert "append" not in LabConfig.from_dict(LAB).vms[0].to_dict()


@pytest.mark.parametrize(
    ("host", "path", "words"),
    [
        ({"memory": "7 KiB"}, "host.memory", "7 KiB; must be a multiple of 4 KiB"),
        ({"memory": "8 MB"}, "host.memory", "unknown unit 'MB'"),
        ({"memory": "512 KiB"}, "host.memory", "must be from 1 MiB to 1 GiB"),
        ({"memory": "2 GiB"}, "host.memory", "must be from 1 MiB to 1 GiB"),
        ({"memory": "0.3 B"}, "host.memory", "not a whole number"),
        ({"memory": None}, "host.memory", "not a quantity"),
        ({"memory": "9" * 400}, "host.memory", "not a quantity"),
        ({"memory": -4096}, "host.memory", "must be from"),
        ({"memroy": "8 MiB"}, "host.memroy", "did you mean `memory`?"),
        ({"pcpus": 0}, "host.pcpus", "is 0; must be from 1 to 8"),
        ({"pcpus": 9}, "host.pcpus", "must be from 1 to 8"),
        ({"pcpus": "two"}, "host.pcpus", "expected a whole number"),
        ({"pcpus": True}, "host.pcpus", "expected a whole number"),
        ({"clock": "105 MHz"}, "host.clock", "multiple of 10 MHz"),
        ({"clock": "1 MHz"}, "host.clock", "must be from 10 MHz"),
        ({"timeslice": "1 week"}, "host.timeslice", "unknown unit 'week'"),
        ({"timeslice": "1 ns"}, "host.timeslice", "must be from 10 us"),
        ({"isa": "rv64imaq"}, "host.isa", "q at column 8 is no extension of these harts"),
        ({"isa": 64}, "host.isa", "expected an ISA string"),
        ([], "host", "is a list; expected a mapping"),
    ],
)
def test_host_mistake_is_located(host: object, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LabConfig.from_dict({"host": host})
    assert caught.value.path == path
    assert words in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"memory": "60 KiB"}, "vms[1].memory", "must be from 64 KiB"),
        ({"memory": "65 KiB"}, "vms[1].memory", "multiple of 4 KiB"),
        ({"vcpus": 99}, "vms[1].vcpus", "must be from 1 to 8"),
        ({"name": "A"}, "vms[1].name", "lower-case"),
        ({"name": "a" * 33}, "vms[1].name", "1 to 32"),
        ({"name": "a"}, "vms[1].name", "already the name of vms[0]"),
        ({"name": 5}, "vms[1].name", "expected a name"),
        ({"program": "../../etc/passwd"}, "vms[1].program", "expected the name of a program"),
        ({"program": ""}, "vms[1].program", "expected the name of a program"),
        ({"autostart": "yes"}, "vms[1].autostart", "true or false"),
        ({"on_fault": "sikp"}, "vms[1].on_fault", "did you mean `skip`?"),
        ({"append": "quiet\nsplash"}, "vms[1].append", "expected a kernel's command line"),
        ({"append": "x" * 1024}, "vms[1].append", "at most 1023 ASCII characters"),
        ({"append": 7}, "vms[1].append", "expected a kernel's command line"),
        ({"apend": "quiet"}, "vms[1].apend", "did you mean `append`?"),
        ({"vcpu": 2}, "vms[1].vcpu", "did you mean `vcpus`?"),
    ],
)
def test_vm_mistake_is_located(change: dict[str, object], path: str, words: str) -> None:
    second = {"name": "b", "program": "hello.s", **change}
    with pytest.raises(ConfigError) as caught:
        LabConfig.from_dict({"vms": [LAB["vms"][0], second]})
    assert caught.value.path == path
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (None, "lab"),
        ([], "lab"),
        ({"vms": {}}, "vms"),
        ({"vms": "a"}, "vms"),
        ({"vms": [3]}, "vms[0]"),
        ({"vms": [{}]}, "vms[0]"),
        ({"hosts": {}}, "hosts"),
    ],
)
def test_wrong_shape_is_located(data: object, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LabConfig.from_dict(data)
    assert caught.value.path == path


KEYS = st.sampled_from(["host", "vms", "name", "memory", "pcpus", "program", "vcpus", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_data_is_a_lab_or_a_located_error(data: object) -> None:
    config = error = None
    try:
        config = LabConfig.from_dict(data)
    except ConfigError as refused:
        error = refused
    if error is not None:
        assert str(error).startswith(error.path)
    else:
        assert config is not None
        assert LabConfig.from_dict(config.to_dict()) == config


def test_devices_of_a_vm_are_read_and_written() -> None:
    given: dict[str, object] = {
        "name": "a",
        "program": "x.s",
        "disk": "16 MiB",
        "network": "lan",
        "rng": True,
    }
    config = VmConfig.from_dict(given | {"console": "virtio", "balloon": True}, "vm")
    assert (config.disk, config.network) == (DiskConfig(16 << 20), "lan")
    assert VmConfig.from_dict(config.to_dict(), "vm") == config
    read_only = VmConfig.from_dict(given | {"disk": {"size": "4 KiB", "read_only": True}}, "vm")
    assert read_only.disk == DiskConfig(4096, read_only=True)
    assert VmConfig.from_dict(read_only.to_dict(), "vm") == read_only


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("disk", "5 KiB", "vm.disk is 5 KiB; must be a multiple of 4 KiB"),
        ("disk", "2 GiB", "vm.disk is 2 GiB; must be from 4 KiB to 1 GiB"),
        ("disk", {"read_only": True}, "vm.disk has no size; expected one, e.g. `size: 16 MiB`"),
        ("disk", {"sise": 1}, "vm.disk.sise is not a known key; did you mean `size`?"),
        ("network", "Lan 1", "vm.network is 'Lan 1'; expected a name of 1 to 32 lower-case letters"),
        ("console", "serial", "vm.console is 'serial'; expected one of sbi, virtio"),
        ("rng", "yes", "vm.rng is 'yes'; expected true or false"),
    ],
)
def test_faults_of_devices_are_located(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_dict({"name": "a", "program": "x.s", key: value}, "vm")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "key", ["name", "program", "memory", "disk", "network", "console", "rng", "x" * 3_000]
)
def test_a_long_value_does_not_make_a_long_error(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_dict({"name": "a", "program": "x.s", key: "y" * 300_000}, "vm")
    assert len(str(caught.value)) < 1_000
