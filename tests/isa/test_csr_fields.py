"""The fields that people are shown: they lie apart, and are the bits that the kernels use."""

import itertools

import pytest

from emulator.core import csr_bits
from emulator.isa.csr_fields import CSR_FIELDS, decode_csr
from emulator.isa.csrs import CSR_NUMBERS


@pytest.mark.parametrize("name", CSR_FIELDS)
def test_fields_fall_and_do_not_overlap(name: str) -> None:
    fields = CSR_FIELDS[name]
    assert name in CSR_NUMBERS
    for above, below in itertools.pairwise(fields):
        assert above.low > below.high
    assert all(one.meaning and 0 <= one.low <= one.high < 64 for one in fields)
    assert all(value < 1 << one.high - one.low + 1 for one in fields for value in one.values)


@pytest.mark.parametrize(
    ("name", "field", "mask"),
    [
        ("sstatus", "SIE", csr_bits.SIE),
        ("sstatus", "SPP", csr_bits.SPP),
        ("sstatus", "FS", csr_bits.FS),
        ("sstatus", "SUM", csr_bits.SUM),
        ("sstatus", "MXR", csr_bits.MXR),
        ("sstatus", "SD", csr_bits.SD),
        ("hstatus", "GVA", csr_bits.HSTATUS_GVA),
        ("hstatus", "SPV", csr_bits.SPV),
        ("hstatus", "VTVM", csr_bits.VTVM),
        ("hstatus", "VTW", csr_bits.VTW),
        ("hvip", "VSTIP", csr_bits.VSTI),
        ("hie", "SGEIE", csr_bits.SGEI),
        ("sip", "SEIP", csr_bits.SEI),
        ("henvcfg", "STCE", csr_bits.ENVCFG_STCE),
        ("henvcfg", "ADUE", csr_bits.ENVCFG_ADUE),
        ("henvcfg", "CBIE", csr_bits.ENVCFG_CBIE),
    ],
)
def test_fields_are_the_bits_that_the_kernels_use(name: str, field: str, mask: int) -> None:
    assert next(one.mask for one in CSR_FIELDS[name] if one.name == field) == mask


def test_every_writable_bit_has_a_field() -> None:
    for name, mask in (
        ("sstatus", csr_bits.SSTATUS_VISIBLE),
        ("hstatus", csr_bits.HSTATUS_WRITABLE),
        ("hideleg", csr_bits.VS_INTERRUPTS),
        ("hedeleg", csr_bits.HEDELEG_WRITABLE),
        ("hie", csr_bits.HS_ONLY_INTERRUPTS),
    ):
        shown = sum(one.mask for one in CSR_FIELDS[name])
        assert mask & ~shown == 0, name


def test_values_are_put_into_words() -> None:
    def says(name: str, value: int) -> dict[str, str]:
        return {one.field.name: one.meaning for one in decode_csr(name, value)}

    assert says("satp", 8 << 60 | 5 << 44 | 0x80123) == {"MODE": "Sv39", "ASID": "", "PPN": "GPA 0x80123000"}
    assert says("hgatp", 9 << 60 | 0x80120)["MODE"] == "Sv48x4"
    assert says("scause", 1 << 63 | 5) == {"Interrupt": "interrupt", "Code": "supervisor timer interrupt"}
    assert says("scause", 13)["Code"] == "load page fault"
    assert says("scause", 0)["Code"] == "no trap yet"
    assert says("stvec", 0x8000_0101) == {
        "BASE": "GVA 0x80000100",
        "MODE": "vectored: interrupts to BASE + 4 x cause",
    }
    assert says("htval", 0x2400_0000)["GPA"] == "GPA 0x90000000"
    assert says("satp", 3 << 60)["MODE"] == "reserved value"
    assert decode_csr("sscratch", 5) == []
