/* Machine mode: its registers, its traps and the way down. */

#define MODE 3

    la a0, handler
    csrrw s11, mtvec, a0

    CASE(2, a4, 2, csrr a4, misa; srli a4, a4, 62)
    CASE(3, a4, 0, csrr a4, mhartid)
    CASE(4, a4, 0x1234, li a1, 0x1234; csrw mscratch, a1; csrr a4, mscratch)
    CASE(5, a4, 0x1234, csrrci a4, mscratch, 4)
    CASE(6, a4, 0x1230, csrr a4, mscratch)
    CASE(7, s1, 2, csrw mvendorid, zero; nop)
    CASE(8, s1, 2, csrr a4, 0x7ff; nop)
    CASE(9, s1, 3, ebreak; nop)
    CASE(10, s1, 5, li a1, 0x40000000; ld a4, 0(a1); nop)
    CASE(11, s2, 0x40000000, mv s2, s2)
    CASE(12, s1, 7, sd a1, 0(a1); nop)
    CASE(13, s1, 11, li a7, 0; ecall; nop)

    /* An ecall from U-mode and from S-mode has its own cause, and mstatus remembers where it came from. */
    CASE(14, s1, 8, la a0, 1f; csrw mepc, a0; li a1, 0x1800; csrc mstatus, a1; mret; 1: ecall; nop)
    CASE(15, s4, 0, mv s4, s4)
    CASE(16, s1, 9, la a0, 1f; csrw mepc, a0; li a1, 0x1800; csrc mstatus, a1; li a1, 0x800; \
         csrs mstatus, a1; \
         mret; 1: ecall; nop)
    CASE(17, s4, 0x800, mv s4, s4)

    /* WFI goes on when an interrupt is pending and enabled, even if interrupts are off as a whole. */
    CASE(18, a4, 0, csrci mstatus, 8; li a1, 2; csrs mie, a1; csrs mip, a1; wfi; csrc mip, a1; \
         csrc mie, a1; li a4, 0)

    /* The counters count. */
    CASE(19, a4, 1, csrr a1, mcycle; csrr a2, mcycle; sltu a4, a1, a2)
    CASE(20, a4, 1, csrr a1, minstret; nop; csrr a2, minstret; sltu a4, a1, a2)
    CASE(21, a4, 0, li a1, 1 << 40; csrw minstret, a1; csrr a2, minstret; sltu a4, a2, a1)

    END

    .balign 4
handler:
    li a3, FINISH
    bne a7, a3, 1f
    jr s11
1:  csrr s1, mcause
    csrr s2, mtval
    csrr s4, mstatus
    li a3, 0x1800
    and s4, s4, a3
    csrs mstatus, a3
    csrr a2, mepc
    addi a2, a2, 4
    csrw mepc, a2
    mret
