# hello.s: the smallest program that a virtual machine can be proud of.
#
# It prints one line and switches its machine off.  It runs on the bare (virtual) machine: no
# operating system below it, no C library, nobody to call for help except the hypervisor.  The
# way to call it is the Supervisor Binary Interface (SBI):
#
#       a7 = which extension    a6 = which function of it    a0, a1, ... = arguments
#       ecall                   leave the guest; the hypervisor does the work and comes back
#
# Every `ecall` is a VM exit.  Change the next line from 0 to 1, press Assemble & restart, and
# count the exits again.

        .equ    WHOLE_LINE, 0           # 0: a call for each character   1: one call for the line

        .equ    SBI_CONSOLE, 0x4442434E # the debug console: these bytes spell "DBCN"
        .equ    CONSOLE_WRITE, 0        # its function 0: write many bytes
        .equ    CONSOLE_WRITE_BYTE, 2   # its function 2: write one byte

        .equ    SBI_RESET, 0x53525354   # system reset: "SRST"
        .equ    SHUTDOWN, 0             # reset type 0: switch the machine off

        .section .rodata                # data that is only read
message:
        .ascii  "Hello from inside!\n"
        .equ    LENGTH, . - message     # from the message to here: how long it is
        .byte   0                       # marks the end

        .text                           # the program
        .globl  _start
_start:                                 # a virtual machine begins here, at GPA 0x8000_0000
        li      t0, WHOLE_LINE
        bnez    t0, print_line

# The patient way: one character, one call, one exit.

        la      s0, message             # s0 points to the next character
next_character:
        lbu     a0, 0(s0)               # a0 = the character, the argument of the call
        beqz    a0, switch_off          # the zero byte marks the end
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall                           # VM exit: "please print this byte"
        addi    s0, s0, 1
        j       next_character

# The clever way: say where the message lies and how long it is, in one call.

print_line:
        li      a0, LENGTH
        la      a1, message             # its address; the hypervisor finds the bytes in our frames
        li      a2, 0                   # the upper half of the address, for machines that need it
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall                           # VM exit: "please print these bytes"

# Nothing is left to do.  A real computer would cut its own power here; ours asks.

switch_off:
        li      a0, SHUTDOWN
        li      a1, 0                   # reason 0: none, everything went well
        li      a7, SBI_RESET
        li      a6, 0
        ecall                           # VM exit: "please switch me off"; it never returns
        j       switch_off
