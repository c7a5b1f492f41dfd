/* programs.S - the programs that the kernel carries with it, as the compiler made them (load.c). */
    .section .rodata
    .macro program name
    .balign 8
elf_\name:
    .incbin "\name\().elf"
text_\name:
    .asciz "\name"
    .endm
    program shell
    program spin
    program crash
    program count

    .balign 8
    .globl programs
programs:
    .irp name, shell, spin, crash, count
    .quad text_\name, elf_\name
    .endr
    .quad 0, 0
