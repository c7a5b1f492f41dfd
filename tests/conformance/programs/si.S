/* Supervisor mode with a page table of its own: permissions, accessed and dirty bits, fences. */

#define MODE 1

#define SSTATUS_SUM 0x40000
#define SSTATUS_MXR 0x80000
#define LEAF_R 0x43 /* V, R, A */
#define LEAF_W 0x47 /* and W: D is missing */
#define LEAF_X 0x49
#define LEAF_U 0x53
#define VA 0x40000000

    la a0, handler
    li a7, SET_HANDLER
    ecall

    /* Where we are is mapped as it is; at VA there is one page of data. */
    la a1, root
    la a2, middle
    srli a3, a2, 2
    addi a3, a3, 1
    sd a3, 8(a1)
    li a3, 0x200000cf
    sd a3, 16(a1)
    la a3, leaf
    srli a4, a3, 2
    addi a4, a4, 1
    sd a4, 0(a2)
    srli a1, a1, 12
    li a2, 8 << 60
    or a1, a1, a2
    csrw satp, a1
    sfence.vma
    mv s5, a3
    la s6, datum
    srli s6, s6, 12
    slli s6, s6, 10
    li s7, VA

#define MAP(bits) ori a1, s6, bits; sd a1, 0(s5); sfence.vma; li s1, 0

    CASE(2, s1, 13, li s1, 0; ld a4, 0(s7); nop)
    CASE(3, s2, VA, mv s2, s2)
    CASE(4, a4, 42, MAP(LEAF_R); ld a4, 0(s7))
    CASE(5, s1, 15, sd a4, 0(s7); nop)
    CASE(6, a4, 42, MAP(LEAF_W); ld a4, 0(s7))
    CASE(7, s1, 13, MAP(LEAF_X); ld a4, 0(s7); nop)
    CASE(8, a4, 42, li s1, 0; li a1, SSTATUS_MXR; csrs sstatus, a1; ld a4, 0(s7); csrc sstatus, a1)
    CASE(9, s1, 13, MAP(LEAF_U); ld a4, 0(s7); nop)
    CASE(10, a4, 42, li s1, 0; li a1, SSTATUS_SUM; csrs sstatus, a1; ld a4, 0(s7); csrc sstatus, a1)
    CASE(11, s1, 12, MAP(LEAF_R); la ra, 1f; jr s7; 1:)
    CASE(12, s1, 13, li a1, 0x40; sd a1, 0(s5); sfence.vma; ld a4, 0(s7); nop)
    CASE(13, s1, 13, li s1, 0; li a1, 1 << 38; ld a4, 0(a1); nop)
    CASE(14, s2, 1 << 38, mv s2, s2)

    CASE(15, s1, 2, csrr a4, mscratch; nop)
    CASE(16, s1, 2, li s1, 0; mret; nop)

    END

handler:
    mv s1, a0
    mv s2, a1
    addi a2, a2, 4
    li a3, 12
    bne a0, a3, 1f
    mv a2, ra
1:  jr a2

    DATA
root: .skip 4096
middle: .skip 4096
leaf: .skip 4096
datum: .dword 42
