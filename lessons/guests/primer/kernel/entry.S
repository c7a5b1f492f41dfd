/* entry.S - chapter 1: the few things that C cannot say.
 *
 * The first instructions, the door between user and kernel, and the switch from one kernel stack to another. */

/* Firmware jumps here in S-mode with the hart's number in a0 and the device tree's address in a1. The MMU is off,
 * so an address is an address. C needs a stack, and variables without a value that are zero. */
    .section .note.vmlab, "a", @note
    .balign 4
    .word 6, 0, 1               /* a note for loaders: this program wants a device tree */
    .asciz "VMLAB"
    .balign 4

    .section .text.start, "ax"
    .globl _start
_start:
    csrw sie, zero
    la t0, __bss_start
    la t1, __bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  la sp, boot_stack_top
    tail kernel_main

/* Every trap comes here: stvec holds this address. sscratch tells from where: while a process runs it holds the
 * address of the process's frame, in the kernel it is 0. The hart has saved nothing but the pc, so each register
 * goes into the frame: the pc at 0, x1 at 8, ... x31 at 248, and behind them the kernel's stack pointer. */
    .text
    .balign 4
    .globl trap_entry
trap_entry:
    csrrw a0, sscratch, a0
    beqz a0, from_kernel
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8*\n(a0)
    .endr
    csrrw t0, sscratch, zero    /* the process's a0; and from here on we are in the kernel */
    sd t0, 8*10(a0)
    csrr t0, sepc
    sd t0, (a0)
    ld sp, 256(a0)
    csrr a1, scause
    csrr a2, stval
    tail trap_from_user         /* (frame, cause, value); the way back is return_to_user() */

/* The kernel runs with interrupts off, so a trap inside it is a mistake of ours. */
from_kernel:
    la sp, boot_stack_top
    csrr a0, scause
    csrr a1, stval
    csrr a2, sepc
    tail trap_from_kernel

/* void return_to_user(struct frame *frame): the way back through the door. */
    .globl return_to_user
return_to_user:
    csrw sscratch, a0
    ld t0, (a0)
    csrw sepc, t0
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(a0)
    .endr
    ld a0, 8*10(a0)
    sret

/* void switch_context(struct context *from, struct context *to): leave one kernel stack, go on with another. A
 * function may destroy any register but these, so they are all that a process which called us can still need. */
    .globl switch_context
switch_context:
    sd ra, 0(a0)
    sd sp, 8(a0)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd s\n, 16+8*\n(a0)
    .endr
    ld ra, 0(a1)
    ld sp, 8(a1)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld s\n, 16+8*\n(a1)
    .endr
    ret

    .bss
    .balign 16
boot_stack:
    .space 8192
boot_stack_top:
