# lock.s: two vCPUs and one spinlock.
#
# Each vCPU takes the lock, works a little, gives it back, works a little more, and begins again,
# until {{ sections }} critical sections are done.  Who finds the lock taken waits in a loop, as all
# kernels do: on a real machine it would be over in a moment.

        .equ    SECTIONS, {{ sections }}            # in all, by both vCPUs
        .equ    INSIDE, 10000           # rounds of work with the lock held
        .equ    OUTSIDE, 30000          # and without

        .equ    SBI_HART, 0x48534D      # "HSM": switch vCPUs on
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
done:   .ascii  "All sections are done.\n"
        .equ    DONE_LENGTH, . - done

        .text
        .globl  _start
_start:
        li      a0, 1                   # start vCPU 1 at the label work
        la      a1, work
        li      a2, 0
        li      a7, SBI_HART
        li      a6, 0
        ecall

work:
        la      s0, lock
        la      s1, counter
        li      s2, SECTIONS

take:
        li      t0, 1
        amoswap.w.aq t0, t0, (s0)       # put a 1 there; what was there before?
        bnez    t0, take                # a 1: somebody has the lock.  Try again, and again
critical:
        ld      t1, 0(s1)
        addi    t1, t1, 1               # the work that needs the lock
        sd      t1, 0(s1)
        li      t0, INSIDE
inside:
        addi    t0, t0, -1
        bnez    t0, inside
        amoswap.w.rl zero, zero, (s0)   # give it back

        bgeu    t1, s2, finish
        li      t0, OUTSIDE
outside:
        addi    t0, t0, -1
        bnez    t0, outside
        j       take

finish:
        bne     t1, s2, rest            # the other one has done the last section
        li      a0, DONE_LENGTH
        la      a1, done
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall
rest:
        wfi
        j       rest

        .bss
        .balign 64
lock:   .skip   64
counter: .skip  64
