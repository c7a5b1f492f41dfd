# orders.s: leaves the guest for many reasons, each as often as you order.

        .equ    READS, 1                # reads of the clock device
        .equ    LETTERS, 1              # letters printed, one call for each
        .equ    NAPS, 1                 # sets the alarm, and sleeps until it rings
        .equ    ALARMS, 1               # sets the alarm, and works until it rings
        .equ    ROUNDS, {{ rounds }}    # of pure computing, two instructions each

        .equ    CLOCK, 0x101000         # a device: the real-time clock
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm
        .equ    SBI_RESET, 0x53525354   # "SRST"
        .equ    TIMER_INTERRUPT, 1 << 5 # the timer's bit in sie and sip
        .equ    SHORTLY, 2000           # 0.2 ms, in ticks of the 10 MHz clock

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may end a sleep; it makes nobody jump
        csrs    sie, t0

        li      s0, READS
        beqz    s0, compute
read:
        li      t0, CLOCK
        lw      t1, 0(t0)               # an ordinary load, but no memory lies there
        addi    s0, s0, -1
        bnez    s0, read

compute:
        li      s0, ROUNDS
round:
        addi    s0, s0, -1
        bnez    s0, round

        li      s0, LETTERS
        beqz    s0, naps
letter:
        li      a0, '*'
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall
        addi    s0, s0, -1
        bnez    s0, letter

naps:
        li      s0, NAPS
        beqz    s0, alarms
nap:
        call    set_alarm
        wfi                             # nothing to do: somebody else may have the pCPU
        addi    s0, s0, -1
        bnez    s0, nap

alarms:
        li      s0, ALARMS
        beqz    s0, off
alarm:
        call    set_alarm
busy:
        csrr    t0, sip                 # has it rung?
        andi    t0, t0, TIMER_INTERRUPT
        beqz    t0, busy                # no: work on
        addi    s0, s0, -1
        bnez    s0, alarm

off:
        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

set_alarm:
        rdtime  a0                      # the time now: read without an exit
        li      t0, SHORTLY
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        ret
