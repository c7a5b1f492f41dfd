# vault.s: VM a keeps a secret.
#
# It says where the secret lies, then sleeps for ever.  It never writes a single byte of its
# memory: if one of its frames ever changes, somebody else has done it.

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE, 0

        .section .rodata
message:
        .ascii  "My secret lies at GPA 0x80002000. Come and get it.\n"
        .equ    LENGTH, . - message

        .text
        .globl  _start
_start:
        li      a0, LENGTH
        la      a1, message
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall                           # VM exit: "please print my message"

asleep:
        wfi                             # no alarm is set: nothing will ever wake this machine
        j       asleep

# The code is the first page of the machine's memory, the message the second, and this is the
# third: GPA 0x8000_2000.

        .data
secret:
        .ascii  "The treasure is buried under the {{ number }} {{ tree }} tree."
