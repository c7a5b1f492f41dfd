/* The environment of the `-p-` kind: one hart, no paging. The program runs in MODE; every trap comes to
   machine mode, which ends the program, takes its handler's address, or gives the trap to that handler. */

#include "cases.h"

    .option norelax
    .option nopic
    .section .test.text, "ax", @progbits
#include PROGRAM

#ifndef MODE
#define MODE 0 /* user mode, unless the program says otherwise */
#endif

#define MSTATUS_MPP 0x1800
#define MSTATUS_FS 0x6000
#define ECALL_FROM_U 8
#define ECALL_FROM_M 11
#define UNEXPECTED 0x400 /* plus the cause: the code of a program that trapped without a handler */

    .section .text.init, "ax", @progbits
    .globl _start
_start:
    j reset

    .balign 4
trap_vector:
    csrw mscratch, t2
    csrr t2, mcause
    addi t2, t2, -ECALL_FROM_U
    sltiu t2, t2, ECALL_FROM_M - ECALL_FROM_U + 1
    beqz t2, forward
    li t2, FINISH
    beq a7, t2, report
    li t2, SET_HANDLER
    bne a7, t2, forward
    sd a0, program_handler, t2
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    csrr t2, mscratch
    mret

forward: /* in the mode of the program, as a signal handler */
    ld t2, program_handler
    beqz t2, unexpected
    csrr a0, mcause
    csrr a1, mtval
    csrr a2, mepc
    csrw mepc, t2
    mret

unexpected:
    csrr a0, mcause
    addi a0, a0, UNEXPECTED
    slli a0, a0, 1
    ori a0, a0, 1
report:
    fence
    sd a0, tohost, t2
    j report

reset:
    la t0, trap_vector
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrw satp, zero
    csrw medeleg, zero
    csrw mideleg, zero
    csrw mie, zero
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MODE << 11 | MSTATUS_FS
    csrs mstatus, t0
    la t0, test_begin
    csrw mepc, t0
    mret

    .data
    .balign 8
program_handler: .dword 0

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
