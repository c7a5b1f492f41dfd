"""A guest that sends Ethernet frames by its virtio network card."""

VIRTIO = 0x1000_2000
# A guest that sends one broadcast frame over and over, as fast as it can, and reads none.
SENDER = f"""
    .macro put register, value
        li t1, \\value
        sw t1, \\register(s0)
    .endm
        .globl _start
_start: li s0, {VIRTIO}
        put 0x70, 3
        put 0x24, 1
        put 0x20, 1
        put 0x70, 11
        put 0x30, 1
        put 0x38, 8
        la t2, area
        sw t2, 0x80(s0)
        addi t3, t2, 128
        sw t3, 0x90(s0)
        addi t3, t2, 256
        sw t3, 0xa0(s0)
        put 0x44, 1
        put 0x70, 15
        la t3, frame
        sd t3, 0(t2)
        li t3, 112
        sw t3, 8(t2)
        li s1, 0
1:      addi s1, s1, 1
        sh s1, 130(t2)
        put 0x50, 1
        li t0, 3000
2:      addi t0, t0, -1
        bnez t0, 2b
        j 1b
        .data
        .balign 4096
area:   .zero 1024
frame:  .zero 12
        .byte 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5
        .zero 86
"""
