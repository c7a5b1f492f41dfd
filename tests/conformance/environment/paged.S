/* The environment of the `-v-` kind: machine mode builds nothing but the way down to the supervisor
   (supervisor.c), which runs the program in U-mode, in pages that come and go. */

#include "cases.h"

    .option norelax
    .option nopic
    .section .test.text, "ax", @progbits
#include PROGRAM

#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x0800
#define MSTATUS_FS 0x6000
#define FRAME_BYTES 256

    .section .text.init, "ax", @progbits
    .globl _start
_start:
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 0xffff
    csrw medeleg, t0
    csrw mie, zero
    li t0, MENVCFG
    csrw 0x30a, t0
    la t0, machine_trap
    csrw mtvec, t0
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S | MSTATUS_FS
    csrs mstatus, t0
    la t0, supervisor
    csrw mepc, t0
    la sp, stack_end
    mret

    .balign 4
machine_trap: /* nothing comes here but mistakes of the environment */
    csrr a0, mcause
    addi a0, a0, 0x600
    slli a0, a0, 1
    ori a0, a0, 1
    sd a0, tohost, t0
    j machine_trap

    .text
supervisor:
    la t0, supervisor_trap
    csrw stvec, t0
    call begin
    /* fall through: a0 is the frame of the program */

resume:
    csrw sscratch, a0
    .irp number, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\number, 8 * \number(a0)
    .endr
    ld a0, 8 * 10(a0)
    sret

    .balign 4
supervisor_trap:
    csrrw a0, sscratch, a0
    .irp number, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\number, 8 * \number(a0)
    .endr
    csrr t0, sscratch
    sd t0, 8 * 10(a0)
    la sp, stack_end
    call trap
    j resume

    .bss
    .balign 16
    .skip 4096
stack_end:

    .section .tohost, "aw", @progbits
    .balign 64
    .globl tohost
    .type tohost, @object
    .size tohost, 8
tohost: .dword 0
    .balign 64
    .globl fromhost
    .type fromhost, @object
    .size fromhost, 8
fromhost: .dword 0
