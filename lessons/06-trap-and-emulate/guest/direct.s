# direct.s: the same kernel in a virtual machine of today, without a monitor of its own.
#
# It runs in supervisor mode of the virtual machine (VS-mode).  The CPU has a second set of the
# registers that it uses, so that none of its instructions has to trap.

        .equ    KNOCK, 0                # 1: try to read a register of the hypervisor, too
        .equ    READS, {{ reads }}      # of the clock device
        .equ    CLOCK, 0x101000
        .equ    SECTIONS, {{ sections }}   # how often the kernel switches interrupts off and on
        .equ    SIE, 2                  # the bit "interrupts are on" of sstatus
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
are_off: .ascii "Interrupts are off.\n"
        .equ    ARE_LENGTH, . - are_off
are_on: .ascii  "Interrupts are on!!\n"
refused: .ascii "Illegal instruction: that register is not for me.\n"
        .equ    REFUSED_LENGTH, . - refused

        .text
        .globl  _start
_start:
        la      t0, trapped
        csrw    stvec, t0
        li      s0, READS
        li      t0, CLOCK
look:
        lw      a0, 0(t0)               # what time is it?  A device register, emulated
        addi    s0, s0, -1
        bnez    s0, look

        li      t0, KNOCK
        beqz    t0, kernel
        csrr    t0, hgatp               # where is my G-stage table?
        j       kernel

        .balign 4
trapped:
        csrr    t0, sepc                # go on behind the instruction
        addi    t0, t0, 4
        csrw    sepc, t0
        la      a1, refused
        li      a0, REFUSED_LENGTH
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        sret

        .data
        .balign 8
counter: .dword 0
digits: .skip   24
digits_end:

        .text
# ---- The kernel.  It believes that the whole machine is its own. ----

kernel:
        li      t0, {{ number }}            # put a number into a register of the CPU
        csrw    sscratch, t0
        la      s0, counter
        li      s1, SECTIONS
section:
        csrci   sstatus, SIE            # interrupts off: nobody may disturb us now
        ld      a0, 0(s0)
        addi    a0, a0, 1
        sd      a0, 0(s0)
        csrsi   sstatus, SIE            # interrupts on again
        addi    s1, s1, -1
        bnez    s1, section

        csrci   sstatus, SIE            # off,
        csrr    a0, sstatus             # and are they?
        andi    a0, a0, SIE
        la      a1, are_off
        beqz    a0, say
        la      a1, are_on
say:
        li      a0, ARE_LENGTH
        call    print

        csrr    a0, sscratch            # is the number still there?
        la      a1, digits_end
        li      s1, 10
next_digit:
        remu    s2, a0, s1
        addi    s2, s2, '0'
        addi    a1, a1, -1
        sb      s2, 0(a1)
        divu    a0, a0, s1
        bnez    a0, next_digit
        la      a0, digits_end
        sub     a0, a0, a1
        call    print

        li      a0, 0                   # switch off
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

print:                                  # print a0 bytes that begin at a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        ret
