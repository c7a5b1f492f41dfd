# serial.s: sends a report over an emulated serial port, as PCs did in 1987.
#
# The port is a 16550.  Its registers lie at addresses where no memory is.  For each byte the
# driver asks whether there is room, and then writes the byte.

        .equ    POLL_EVERY, 1           # asks before each byte; the chip has room for 16

        .equ    LINES, {{ lines }}
        .equ    LENGTH, 64              # bytes of a line

        .equ    UART, 0x10000000
        .equ    DATA, 0                 # its registers: the byte to be sent,
        .equ    FIFO_CONTROL, 2         # the queue in the chip: 1 switches it on,
        .equ    LINE_STATUS, 5          # and what the chip is doing:
        .equ    EMPTY, 0x20             # all bytes are sent
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
report:
        .rept   LINES
        .ascii  "Report {{ token }}: all systems are up and nothing is on fire. .....\n"
        .endr

        .text
        .globl  _start
_start:
        li      s0, UART
        li      t0, 1
        sb      t0, FIFO_CONTROL(s0)    # VM exit
        la      s1, report
        li      s2, LINES * LENGTH
next_group:
        li      s3, POLL_EVERY
is_it_empty:
        lbu     t0, LINE_STATUS(s0)     # VM exit
        andi    t0, t0, EMPTY
        beqz    t0, is_it_empty
next_byte:
        lbu     t0, 0(s1)               # a byte of our memory: no exit
        sb      t0, DATA(s0)            # VM exit
        addi    s1, s1, 1
        addi    s2, s2, -1
        beqz    s2, off
        addi    s3, s3, -1
        bnez    s3, next_byte
        j       next_group

off:
        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall
