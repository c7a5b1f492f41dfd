# Counts for ever and never leaves the guest by itself.
        .globl  _start
_start: li      t0, 0
loop:   addi    t0, t0, 1
        j       loop
