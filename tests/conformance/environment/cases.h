/* Test cases in the form of riscv-tests: gp holds the number of the case that runs, and a program ends with
   an `ecall` whose a0 is what tohost shall be: 1 when everything passed, else number << 1 | 1. Programs may
   not use gp and t2 for themselves. */

#define CASE(number, register, expected, code...) \
    case_##number: li gp, number; code; li t2, expected; bne register, t2, fail

#define BINARY(number, instruction, expected, a, b) \
    CASE(number, a4, expected, li a1, a; li a2, b; instruction a4, a1, a2)
#define UNARY(number, instruction, expected, a) \
    CASE(number, a4, expected, li a1, a; instruction a4, a1)
#define IMMEDIATE(number, instruction, expected, a, immediate) \
    CASE(number, a4, expected, li a1, a; instruction a4, a1, immediate)

/* A branch forwards and a branch backwards; each must be taken, or each must not. */
#define TAKEN(number, instruction, a, b) \
    case_##number: li gp, number; li a1, a; li a2, b; instruction a1, a2, 2f; \
    1: j 3f; j fail; 2: instruction a1, a2, 1b; j fail; 3:
#define NOT_TAKEN(number, instruction, a, b) \
    case_##number: li gp, number; li a1, a; li a2, b; 1: instruction a1, a2, fail; \
    j 2f; instruction a1, a2, 1b; 2: instruction a1, a2, 1b

/* An AMO on a variable, or on the bytes around it: the old value, then the new one. */
#define ATOMIC(number, instruction, load, old, expected, before, operand) \
    case_##number: li gp, number; la a1, variable; li a2, before; sd a2, 0(a1); li a2, operand; \
    instruction a4, a2, (a1); li t2, old; bne a4, t2, fail; \
    load a4, 0(a1); li t2, expected; bne a4, t2, fail

/* Floating point on bit patterns: the flags raised beside the result in a4. */
#define FLOAT(number, expected, flags, code...) \
    case_##number: li gp, number; fsflags zero; code; li t2, expected; bne a4, t2, fail; \
    frflags a4; li t2, flags; bne a4, t2, fail
#define BINARY_D(number, instruction, expected, flags, a, b) \
    FLOAT(number, expected, flags, li a1, a; li a2, b; fmv.d.x fa1, a1; fmv.d.x fa2, a2; \
          instruction fa4, fa1, fa2; fmv.x.d a4, fa4)
#define BINARY_S(number, instruction, expected, flags, a, b) \
    FLOAT(number, expected, flags, li a1, a; li a2, b; fmv.w.x fa1, a1; fmv.w.x fa2, a2; \
          instruction fa4, fa1, fa2; fmv.x.w a4, fa4)
#define UNARY_D(number, instruction, expected, flags, a) \
    FLOAT(number, expected, flags, li a1, a; fmv.d.x fa1, a1; instruction fa4, fa1; fmv.x.d a4, fa4)
#define COMPARE_D(number, instruction, expected, flags, a, b) \
    FLOAT(number, expected, flags, li a1, a; li a2, b; fmv.d.x fa1, a1; fmv.d.x fa2, a2; \
          instruction a4, fa1, fa2)
#define COMPARE_S(number, instruction, expected, flags, a, b) \
    FLOAT(number, expected, flags, li a1, a; li a2, b; fmv.w.x fa1, a1; fmv.w.x fa2, a2; \
          instruction a4, fa1, fa2)
#define TO_INTEGER_D(number, instruction, rounding, expected, flags, a) \
    FLOAT(number, expected, flags, li a1, a; fmv.d.x fa1, a1; instruction a4, fa1, rounding)

/* What a program asks its environment for. */
#define FINISH 93
#define SET_HANDLER 1000 /* a0: where traps go that are the program's own, with a0 cause, a1 value, a2 pc */

#define END \
    pass: li a0, 1; li a7, FINISH; ecall; \
    fail: slli a0, gp, 1; ori a0, a0, 1; li a7, FINISH; ecall

#define DATA .section .test.data, "aw", @progbits; .balign 4096
