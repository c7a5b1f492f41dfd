/* bare.S - machine entry: the first instruction after the reset vector, in M-mode at the start of RAM. */

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    csrr t0, mhartid
    bnez t0, park
    la sp, __stack_top
    la t0, trap
    csrw mtvec, t0
    csrw mie, zero
#ifdef __riscv_flen
    li t0, 0x6000               /* mstatus.FS = dirty */
    csrs mstatus, t0
    csrw fcsr, zero
#endif
    la t0, __bss_start
    la t1, __bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  tail platform_main
park:
    wfi
    j park
    .balign 4
trap:
    la sp, __trap_stack_top
    tail machine_trap
