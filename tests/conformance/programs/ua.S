/* A: atomic memory operations, LR and SC. */

    ATOMIC(2, amoswap.w, lw, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(3, amoswap.w, lw, 0x5, 0xfffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(4, amoswap.d, ld, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(5, amoswap.d, ld, 0x8000000000000005, 0x7ffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(6, amoadd.w, lw, 0x7fffffff, 0x0, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(7, amoadd.w, lw, 0x5, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(8, amoadd.d, ld, 0x7fffffff, 0x0, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(9, amoadd.d, ld, 0x8000000000000005, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(10, amoxor.w, lw, 0x7fffffff, 0xfffffffffffffffe, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(11, amoxor.w, lw, 0x5, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(12, amoxor.d, ld, 0x7fffffff, 0xfffffffffffffffe, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(13, amoxor.d, ld, 0x8000000000000005, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(14, amoand.w, lw, 0x7fffffff, 0x1, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(15, amoand.w, lw, 0x5, 0x0, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(16, amoand.d, ld, 0x7fffffff, 0x1, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(17, amoand.d, ld, 0x8000000000000005, 0x0, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(18, amoor.w, lw, 0x7fffffff, 0xffffffffffffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(19, amoor.w, lw, 0x5, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(20, amoor.d, ld, 0x7fffffff, 0xffffffffffffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(21, amoor.d, ld, 0x8000000000000005, 0xfffffffffffffff5, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(22, amomin.w, lw, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(23, amomin.w, lw, 0x5, 0xfffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(24, amomin.d, ld, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(25, amomin.d, ld, 0x8000000000000005, 0x8000000000000005, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(26, amomax.w, lw, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(27, amomax.w, lw, 0x5, 0x5, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(28, amomax.d, ld, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(29, amomax.d, ld, 0x8000000000000005, 0x7ffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(30, amominu.w, lw, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(31, amominu.w, lw, 0x5, 0x5, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(32, amominu.d, ld, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(33, amominu.d, ld, 0x8000000000000005, 0x7ffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)

    ATOMIC(34, amomaxu.w, lw, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(35, amomaxu.w, lw, 0x5, 0xfffffffffffffff0, 0x8000000000000005, 0x7ffffffffffffff0)
    ATOMIC(36, amomaxu.d, ld, 0x7fffffff, 0xffffffff80000001, 0x7fffffff, 0xffffffff80000001)
    ATOMIC(37, amomaxu.d, ld, 0x8000000000000005, 0x8000000000000005, 0x8000000000000005, 0x7ffffffffffffff0)

    CASE(38, a4, 7, la a1, variable; li a2, 7; 1: lr.w a4, (a1); sc.w a4, a2, (a1); bnez a4, 1b; lw a4, 0(a1))
    CASE(39, a4, 1, la a1, variable; la a2, other; lr.w a4, (a1); sc.w a4, a4, (a2))
    CASE(40, a4, 1, la a1, variable; 1: lr.w a4, (a1); sc.w a4, a4, (a1); bnez a4, 1b; sc.w a4, a4, (a1))
    CASE(41, a4, 7, la a1, variable; li a2, 7; 1: lr.d a4, (a1); sc.d a4, a2, (a1); bnez a4, 1b; ld a4, 0(a1))
    CASE(42, a4, 1, la a1, variable; la a2, other; lr.d a4, (a1); sc.d a4, a4, (a2))
    CASE(43, a4, 1, la a1, variable; 1: lr.d a4, (a1); sc.d a4, a4, (a1); bnez a4, 1b; sc.d a4, a4, (a1))

    END

    DATA
variable: .dword 0
    .balign 64
other: .dword 0
