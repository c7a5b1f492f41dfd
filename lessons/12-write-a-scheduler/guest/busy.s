# busy.s: a guest that wants all the CPU time that it can get.
#
# It counts rounds in a register, for ever.  There is nothing to see on its console.

        .text
        .globl  _start
_start:
        li      s0, 0
round:
        addi    s0, s0, 1
        j       round
