# sleeper.s: a well-behaved program that waits without wasting time.
#
# It prints a z, asks to be woken {{ nap }} later, and sleeps until then.  Most computers spend most
# of their lives like this, which is why one physical server can carry so many virtual ones.

        .equ    NAP, {{ nap_ticks }}    # {{ nap }}, in ticks of the 10 MHz clock that rdtime reads

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5 # the supervisor timer's bit in sie

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # let the timer wake us.  Interrupts as a whole stay off
        csrs    sie, t0                 # (sstatus.SIE = 0): we wake up, but jump nowhere

sleep:
        li      a0, 'z'
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall                           # VM exit: "please print z"

set_alarm:
        rdtime  s0                      # what time is it?
        li      t0, NAP
        add     s0, s0, t0              # s0 = when to wake up
        mv      a0, s0
        li      a7, SBI_TIME
        li      a6, 0
        ecall                           # VM exit: "please set my alarm"
doze:
        wfi                             # wait for interrupt.  VM exit: "I have nothing to do"
        rdtime  t0
        bltu    t0, s0, doze            # it may end early; doze on until the time has come
        j       sleep
