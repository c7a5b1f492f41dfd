# busy.s: a program that always has something to do.
#
# It counts, for ever.  After each {{ rounds }} rounds it prints the number of the vCPU that did the
# counting.  Two instructions per round at 100 MHz make one digit every {{ digit }}, if the vCPU has a
# physical CPU for itself.  Watch the digits come more slowly when it must share.

        .equ    ROUNDS, {{ rounds }}    # counting rounds per digit

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_HART, 0x48534D      # "HSM", hart state management: switch vCPUs on and off
        .equ    HART_START, 0

        .text
        .globl  _start
_start:                                 # a0 = the number of this vCPU (its hart id): 0
        mv      s0, a0

# A machine with two vCPUs begins on vCPU 0; the other is off until somebody asks for it.  If
# this machine has only one, the call returns an error, and nobody is hurt.

        li      a0, 1                   # which one
        la      a1, second              # where it shall begin
        li      a2, 0                   # what it finds in its a1
        li      a7, SBI_HART
        li      a6, HART_START
        ecall                           # VM exit: "please start my second vCPU"
        j       count

second:                                 # vCPU 1 begins here, with its own number in a0
        mv      s0, a0

count:
        li      t0, ROUNDS
round:
        addi    t0, t0, -1              # a round: subtract one,
        bnez    t0, round               # and jump back until nothing is left
        addi    a0, s0, '0'             # the digit of this vCPU
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall                           # VM exit: the only one in 200 000 instructions
        j       count
