# shop.s: the shop of a customer.  Each shop has the same public library, and pages of its own.
#
# It waits for one letter on its console:  u  install the update of the library

        .equ    VERSION, {{ version }}  # of the library
        .equ    LIBRARY, {{ library }}  # pages
        .equ    ORDERS, {{ orders }}    # pages of its own
        .equ    UPDATED, {{ updated }}  # pages of the library that the update changes: 1, 2, ...

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    NAP, 20000              # 2 ms, in ticks of 10 MHz
        .equ    PAGE, 4096

        .macro  say words               # print what stands from \words up to \words_end
        la      a1, \words
        la      a2, \words\()_end
        call    print
        .endm

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        la      s1, library
        li      s2, 0
load:                                   # page s2 of the library: the same bytes in each shop
        li      a0, VERSION << 16
        add     a0, a0, s2
        call    fill
        addi    s2, s2, 1
        li      t0, LIBRARY
        bltu    s2, t0, load

        rdtime  s3                      # orders: no two shops were opened at the same time
        slli    s3, s3, 24
        li      s2, 0
order:
        add     a0, s3, s2
        call    fill
        addi    s2, s2, 1
        li      t0, ORDERS
        bltu    s2, t0, order
        say     open

serve:                                  # the work: read each page of the library
        la      t0, library
        li      t1, LIBRARY
        li      t2, PAGE
read:
        ld      t3, 0(t0)
        add     t0, t0, t2
        addi    t1, t1, -1
        bnez    t1, read

        li      a0, 1                   # has somebody typed a letter?
        la      a1, letter
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 1
        ecall
        beqz    a1, nap
        lbu     t0, letter
        li      t1, 'u'
        beq     t0, t1, update
        j       serve
nap:
        rdtime  a0
        li      t0, NAP
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall                           # VM exit: "wake me in a moment"
        wfi
        j       serve

update:                                 # one store in each page that changes
        la      t0, library
        li      t1, UPDATED
        li      t2, PAGE
        li      t3, 0x5AFE
        rdtime  s4
patch:
        add     t0, t0, t2
        sd      t3, 8(t0)
        addi    t1, t1, -1
        bnez    t1, patch
        rdtime  a0
        sub     s4, a0, s4
        say     updated
        li      t0, 10
        divu    a0, s4, t0              # ten ticks are a microsecond
        call    print_number
        say     us
        j       serve

fill:                                   # fill the page at s1 from the number a0; then s1 is the next page
        li      t2, 0x5851F42D4C957F2D
        li      t0, PAGE / 8
        addi    a0, a0, 1
word:
        mul     a0, a0, t2
        addi    a0, a0, 1
        sd      a0, 0(s1)
        addi    s1, s1, 8
        addi    t0, t0, -1
        bnez    t0, word
        ret

print_number:                           # print a0 in decimal
        la      a1, digits_end
        mv      a2, a1
        li      t1, 10
next_digit:
        remu    t2, a0, t1
        addi    t2, t2, '0'
        addi    a1, a1, -1
        sb      t2, 0(a1)
        divu    a0, a0, t1
        bnez    a0, next_digit

print:                                  # print the bytes from GPA a1 up to a2
        sub     a0, a2, a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 0
        ecall
        ret

        .section .rodata
open:   .ascii  "Open.\n"
open_end:
updated: .ascii "The update took "
updated_end:
us:     .ascii  " us.\n"
us_end:

        .data
letter: .byte   0
digits: .skip   24
digits_end:

        .bss
        .balign PAGE
library:                                # from here on: the library, and then the orders
