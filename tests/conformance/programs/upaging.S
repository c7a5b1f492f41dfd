/* Twelve pages of data, more than a paging environment holds at once: loads, stores, atomics and floating
   point, aligned and across the pages' ends. */

#define PAGES 12

    li gp, 2 /* every page becomes its number */
    la a1, pages
    li a2, PAGES
    li a3, 4096
1:  sd a2, 0(a1)
    add a1, a1, a3
    addi a2, a2, -1
    bnez a2, 1b

    CASE(3, a4, 78, la a1, pages; li a2, PAGES; li a4, 0; \
         1: ld a5, 0(a1); add a4, a4, a5; add a1, a1, a3; addi a2, a2, -1; bnez a2, 1b)

    li gp, 4 /* each end of a page is read, changed and read again, halfway in the next */
    la a1, pages
    li a2, PAGES - 1
    li a6, 0x1122334455667788
1:  add a1, a1, a3
    sd a6, -4(a1)
    ld a4, -4(a1)
    bne a4, a6, fail
    lwu a4, 0(a1)
    li t2, 0x11223344
    bne a4, t2, fail
    fld fa0, -4(a1)
    fsd fa0, -6(a1)
    addi a2, a2, -1
    bnez a2, 1b

    CASE(5, a4, 0x11221122, la a1, pages; add a1, a1, a3; li a2, 5; amoadd.d a4, a2, (a1))
    CASE(6, a4, 0x11221127, ld a4, 0(a1))

    li gp, 7 /* reading alone, twice around: clean pages need not be written back */
    li a5, 2 * PAGES
    la a1, clean
1:  ld a4, 0(a1)
    bnez a4, fail
    add a1, a1, a3
    addi a5, a5, -1
    bnez a5, 1b

    CASE(8, a4, 7, j distant; back:)

    END

    .balign 4096
    .skip 4094
    .option norvc
distant: /* lies in two pages */
    li a4, 7
    .option rvc
    j back

    DATA
pages: .skip 4096 * PAGES
clean: .skip 4096 * 2 * PAGES
