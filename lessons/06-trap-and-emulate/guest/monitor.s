# monitor.s: a virtual machine monitor of the classical kind, and the kernel that it fools.
#
# The kernel at the end of this file was written for supervisor mode.  The monitor runs it in
# *user* mode: each of its privileged instructions traps, and the monitor does by software what
# the CPU would have done, on registers that are mere words in memory.
#
# A real monitor saves all registers at a trap.  Here the two share them: the kernel uses
# a0-a7, s0-s2, t0, and the monitor t2-t6.

        .equ    EMULATE_WRITES, 0       # 0: skip them without a word   1: emulate them

        .equ    SSTATUS, 0x100          # numbers of two control registers
        .equ    SSCRATCH, 0x140
        .equ    CALL_FROM_USER, 8       # scause of an ecall in user mode
        .equ    SECTIONS, {{ sections }}   # how often the kernel switches interrupts off and on
        .equ    SIE, 2                  # the bit "interrupts are on" of sstatus
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
are_off: .ascii "Interrupts are off.\n"
        .equ    ARE_LENGTH, . - are_off
are_on: .ascii  "Interrupts are on!!\n"
unknown: .ascii "Monitor: I do not know this register.\n"
        .equ    UNKNOWN_LENGTH, . - unknown

        .text
        .globl  _start
_start:
        la      t0, trapped
        csrw    stvec, t0               # traps of the kernel come to the monitor
        li      t0, 1 << 8              # sstatus.SPP = 0: sret goes to user mode
        csrc    sstatus, t0
        la      t0, kernel
        csrw    sepc, t0
        sret                            # start the kernel

# ---- The monitor.  Every trap of the kernel ends here. ----

        .balign 4
trapped:
        csrr    t2, sepc                # go on behind the instruction that trapped
        addi    t2, t2, 4
        csrw    sepc, t2
        csrr    t2, scause
        li      t3, CALL_FROM_USER
        beq     t2, t3, pass_on

        csrr    t2, stval               # the instruction itself
        srli    t4, t2, 12
        andi    t4, t4, 7               # three of its bits: what to do with the register
        li      t3, 2
        beq     t4, t3, which_register  # it only reads
        li      t3, EMULATE_WRITES
        beqz    t3, back                # it writes: nobody shall notice anything

which_register:                         # t5 = the word in which we keep it
        srli    t3, t2, 20              # the upper 12 bits: its number
        la      t5, virtual_sstatus
        li      t6, SSTATUS
        beq     t3, t6, found
        j       complain

found:
        ld      t6, 0(t5)               # t6 = its value
        srli    t2, t2, 15
        andi    t2, t2, 31              # five bits: the operand of csrsi and csrci
        li      t3, 2
        beq     t4, t3, read
        li      t3, 1
        beq     t4, t3, write
        li      t3, 6
        beq     t4, t3, set
        not     t2, t2                  # csrci: clear bits
        and     t6, t6, t2
        sd      t6, 0(t5)
        j       back
set:
        or      t6, t6, t2
        sd      t6, 0(t5)
        j       back
write:
        sd      t0, 0(t5)               # csrw takes its value from t0
        j       back
read:
        mv      a0, t6                  # csrr puts it into a0
back:
        sret

pass_on:
        ecall                           # the kernel calls its SBI: ask ours
        sret

complain:                               # a register for which we have no word
        li      a0, UNKNOWN_LENGTH      # (this kernel can bear that we use its registers)
        la      a1, unknown
        call    print
        li      a0, 0
        sret

        .data
        .balign 8
virtual_sstatus:  .dword SIE            # the kernel's registers: words in memory
virtual_sscratch: .dword 0
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
