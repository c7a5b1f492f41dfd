# virtio.s: sends the same report through a virtio console, a device that was made to be emulated.
#
# Guest and device share a queue in the guest's memory.  The driver writes into it where the lines
# lie and how long they are.  Then it rings the doorbell, once for BATCH lines.

        .equ    BATCH, 1                # lines for each ring of the doorbell
        .equ    STEAL, 0                # instead of the first line, send what lies at this address

        .equ    LINES, {{ lines }}
        .equ    LENGTH, 64              # bytes of a line
        .equ    SLOTS, 32               # of the queue

        .equ    DEVICE, 0x10003000      # registers of the virtio console (Virtio 1.2, 4.2.2)
        .equ    FEATURES, 0x20
        .equ    FEATURES_SELECT, 0x24
        .equ    QUEUE_SELECT, 0x30
        .equ    QUEUE_SIZE, 0x38
        .equ    QUEUE_READY, 0x44
        .equ    DOORBELL, 0x50          # "queue notify"
        .equ    STATUS, 0x70
        .equ    DESCRIPTORS_AT, 0x80
        .equ    AVAILABLE_AT, 0x90
        .equ    USED_AT, 0xA0
        .equ    TRANSMIT, 1             # the number of the queue for sending
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
report:
        .rept   LINES
        .ascii  "Report {{ token }}: all systems are up and nothing is on fire. .....\n"
        .endr

        .macro  put register, value     # each of these is a VM exit
        li      t0, \value
        sw      t0, \register(s0)
        .endm

        .macro  put_address register, where
        la      t0, \where
        sw      t0, \register(s0)       # lower half,
        sw      zero, \register + 4(s0) # upper half
        .endm

        .text
        .globl  _start
_start:
        li      s0, DEVICE
introduce:
        put     STATUS, 0               # reset
        put     STATUS, 3               # I have seen you, and I am a driver
        put     FEATURES_SELECT, 1
        put     FEATURES, 1             # I speak version 1, and want nothing else
        put     STATUS, 11              # is that all right?
        put     QUEUE_SELECT, TRANSMIT
        put     QUEUE_SIZE, SLOTS
        put_address DESCRIPTORS_AT, descriptors
        put_address AVAILABLE_AT, available
        put_address USED_AT, used
        put     QUEUE_READY, 1
        put     STATUS, 15              # go

        la      s1, report
        la      s2, descriptors
        la      s3, available
        li      s4, 0                   # s4 = lines in the queue
        li      s5, BATCH               # s5 = lines until the next ring
        li      t0, STEAL
        beqz    t0, next_line
        mv      s1, t0

next_line:
        sd      s1, 0(s2)               # descriptor: where,
        li      t0, LENGTH
        sw      t0, 8(s2)               # how long,
        sw      zero, 12(s2)            # nothing special
        slli    t0, s4, 1
        add     t0, t0, s3
        sh      s4, 4(t0)               # available: this descriptor is next
        addi    s4, s4, 1
        fence   w, w                    # first the entry, then the count
        sh      s4, 2(s3)               # so many are available
        addi    s1, s1, LENGTH
        addi    s2, s2, 16

        li      t0, LINES
        beq     s4, t0, ring            # the last one: in any case
        addi    s5, s5, -1
        bnez    s5, next_line
ring:
        fence   w, o
        put     DOORBELL, TRANSMIT      # VM exit: "look into the queue"
        li      s5, BATCH
        li      t0, LINES
        bne     s4, t0, next_line

wait:
        la      t0, used                # the device counts there what it has done: no exit
        lhu     t1, 2(t0)
        bne     t1, s4, wait

        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

        .bss
        .balign 4096
descriptors: .skip 16 * SLOTS
available: .skip 4 + 2 * SLOTS
        .balign 4
used:   .skip   4 + 8 * SLOTS
