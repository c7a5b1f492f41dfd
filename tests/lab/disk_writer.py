"""A guest that drives its virtio disk: one cluster after another, a character on the console for each."""

VIRTIO = 0x1000_1000

# Writes the first sector of cluster 0, 1, 2, ... of the disk, the cluster's number + 1 in its first byte.
# Prints "." for each that is acknowledged, "f" for a flush after every `FLUSH_EVERY`, "!" for an I/O error;
# after an error it waits for a key and tries the same cluster again.
WRITER = f"""
    .macro put register, value
        li t1, \\value
        sw t1, \\register(s0)
    .endm
    .macro describe index, address, length, flags, next
        la t2, area + \\index * 16
        la t3, \\address
        sd t3, 0(t2)
        li t3, \\length
        sw t3, 8(t2)
        li t3, \\flags | \\next << 16
        sw t3, 12(t2)
    .endm
        .globl _start
_start: li s0, {VIRTIO}
        put 0x70, 0
        put 0x70, 3
        put 0x24, 0
        put 0x20, FEATURES
        put 0x24, 1
        put 0x20, 1           # VIRTIO_F_VERSION_1
        put 0x70, 11
        put 0x30, 0
        put 0x38, 8
        la t2, area
        sw t2, 0x80(s0)
        addi t3, t2, 128
        sw t3, 0x90(s0)
        addi t3, t2, 256
        sw t3, 0xa0(s0)
        put 0x44, 1
        put 0x70, 15
        li s2, 0              # cluster
        li s3, 0              # requests so far
again:  slli t0, s2, 3
        la t1, request
        sd t0, 8(t1)
        li t0, 1
        sw t0, (t1)
        addi t0, s2, 1
        la t1, text
        sb t0, (t1)
        describe 0, request, 16, 1, 1
        describe 1, text, 512, 1, 2
        describe 2, status, 1, 2, 0
        call ask
        bnez a1, failed
        li a0, '.'
        call print
        addi s2, s2, 1
        li t0, CLUSTERS
        beq s2, t0, done
        li t0, FLUSH_EVERY
        remu t0, s2, t0
        bnez t0, again
        la t1, request
        li t0, 4
        sw t0, (t1)
        describe 0, request, 16, 1, 2
        call ask
        li a0, 'f'
        call print
        j again
failed: li a0, '!'
        call print
1:      li a7, 2
        ecall
        bltz a0, 1b
        j again
done:   wfi
        j done
ask:    addi s3, s3, 1        # the request at descriptor 0; its status in a1
        la t2, area
        sh s3, 130(t2)
        put 0x50, 0
1:      lhu t0, 258(t2)
        slli t1, s3, 48
        srli t1, t1, 48
        bne t0, t1, 1b
        lbu a1, status
        ret
print:  li a7, 1
        ecall
        ret
        .data
        .balign 4096
area:   .zero 1024
request: .zero 16
text:   .zero 512
status: .byte 0xff
"""


def writer(clusters: int, flush_every: int = 1000) -> str:
    """Return the program, which stops after so many clusters."""
    values = {"CLUSTERS": clusters, "FLUSH_EVERY": flush_every, "FEATURES": 1 << 9}
    return "".join(f"    .equ {name}, {value}\n" for name, value in values.items()) + WRITER
