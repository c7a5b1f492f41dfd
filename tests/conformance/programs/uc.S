/* C: what compressed instructions stand for. */

    .option rvc
    CASE(2, a4, 11, li a4, 9; c.addi a4, 2)
    CASE(3, a4, 0xffffffff80000000, li a4, 0x7fffffff; c.addiw a4, 1)
    CASE(4, a4, -32, c.li a4, -32)
    CASE(5, a4, 0x1f000, c.lui a4, 0x1f)
    CASE(6, a4, 0xfffffffffffe0000, c.lui a4, 0xfffe0)
    CASE(7, a4, -512, mv a5, sp; li sp, 0; c.addi16sp sp, -512; mv a4, sp; mv sp, a5)
    CASE(8, a4, 1020, mv a5, sp; li sp, 0; c.addi4spn a4, sp, 1020; mv sp, a5)
    CASE(9, a4, 0x8000000000000000, li a4, 1; c.slli a4, 63)
    CASE(10, a4, 1, li a4, -1; c.srli a4, 63)
    CASE(11, a4, -1, li a4, 0x8000000000000000; c.srai a4, 63)
    CASE(12, a4, 0x10, li a4, 0xf0; c.andi a4, 0x11)
    CASE(13, a4, 5, li a4, 7; li a5, 2; c.sub a4, a5)
    CASE(14, a4, 0xf, li a4, 0xc; li a5, 3; c.xor a4, a5)
    CASE(15, a4, 0xe, li a4, 0xc; li a5, 6; c.or a4, a5)
    CASE(16, a4, 4, li a4, 0xc; li a5, 6; c.and a4, a5)
    CASE(17, a4, -1, li a4, 0xffffffff; li a5, 0; c.addw a4, a5)
    CASE(18, a4, 1, li a4, 0; li a5, 0xffffffff; c.subw a4, a5)
    CASE(19, a4, 9, li a5, 9; c.mv a4, a5)
    CASE(20, a4, 10, li a4, 1; li a5, 9; c.add a4, a5)
    CASE(21, a4, -2, la a3, room; li a4, -2; c.sd a4, 8(a3); c.ld a4, 8(a3))
    CASE(22, a4, 0x7ffffffe, li a4, 0x7ffffffe; c.sw a4, 4(a3); c.lw a4, 4(a3))
    CASE(23, a4, 33, mv a5, sp; la sp, room; li a4, 33; c.sdsp a4, 16(sp); c.ldsp a4, 16(sp); mv sp, a5)
    CASE(24, a4, -33, mv a5, sp; la sp, room; li a4, -33; c.swsp a4, 20(sp); c.lwsp a4, 20(sp); mv sp, a5)
    CASE(25, a4, 77, la a3, room; li a4, 77; fmv.d.x fa4, a4; c.fsd fa4, 8(a3); c.fld fa5, 8(a3); \
         fmv.x.d a4, fa5)
    CASE(26, a4, 0, li a4, 0; c.j 1f; li a4, 1; 1:)
    CASE(27, a4, 0, li a4, 0; c.beqz a4, 1f; li a4, 1; 1:)
    CASE(28, a4, 2, li a4, 2; c.bnez a4, 1f; li a4, 1; 1:)
    CASE(29, a4, 2, la a4, 2f; 1: c.jalr a4; 2: la a4, 1b; sub a4, ra, a4)
    CASE(30, a4, 0, la a4, 1f; c.jr a4; j fail; 1: la a5, 1b; sub a4, a4, a5)

    END

    DATA
room: .dword 0, 0, 0, 0
