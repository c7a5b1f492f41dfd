/* Zicond: conditional zero. Spelled as words for assemblers that do not know it. */

#define CZERO_EQZ .insn r 0x33, 5, 7, a4, a1, a2
#define CZERO_NEZ .insn r 0x33, 7, 7, a4, a1, a2

    CASE(2, a4, 0, li a1, 7; li a2, 0; CZERO_EQZ)
    CASE(3, a4, 7, li a1, 7; li a2, -1; CZERO_EQZ)
    CASE(4, a4, 7, li a1, 7; li a2, 0x8000000000000000; CZERO_EQZ)
    CASE(5, a4, 7, li a1, 7; li a2, 0; CZERO_NEZ)
    CASE(6, a4, 0, li a1, 7; li a2, 1; CZERO_NEZ)
    CASE(7, a4, 0, li a1, 7; li a2, 0x8000000000000000; CZERO_NEZ)

    END
