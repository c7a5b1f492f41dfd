/* start.S - the first instructions of a `vm` or `bare` program: a stack, a zeroed .bss, then exit(main(hart, tree)).
 *
 * Whoever starts us puts the hart's number into a0 and the address of the device tree, if there is one, into a1:
 * they pass on to main() as its arguments. gp is not used: the linker is not asked to relax towards it. */
    .section .text.start, "ax"
    .globl _start
_start:
#ifdef MACHINE_MODE
    csrr t0, mhartid
    bnez t0, park               /* one hart runs the program, the others wait for ever */
    csrw mie, zero
#else
    csrw sie, zero
#endif
    la t0, __bss_start
    la t1, __bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  la sp, __stack_top
    call main
    tail exit
#ifdef MACHINE_MODE
park:
    wfi
    j park
#endif
