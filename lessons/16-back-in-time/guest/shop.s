# shop.s: a shop that sells tickets.  Each ticket carries a number that nobody can guess.
#
# Type a line on its console and press Enter: it sells a ticket.  Type `upgrade`: it installs its
# version 2.  All that it knows, it knows by its memory: what it has sold, and the number before.

        .equ    WATCH_GENERATION, 0     # 1: look for a new generation before each sale
        .equ    PAGES, {{ pages }}      # of the catalogue
        .equ    REPLACED, {{ replaced }}        # pages that version 2 writes anew

        .equ    GENERATION, 0x102000    # the device vmgenid: 16 bytes, never twice the same
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_READ, 1
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    TICKS_PER_MS, 10000     # of the 10 MHz clock
        .equ    PAGE, 4096

        .macro  say text
        la      a1, \text
        la      a0, \text\()_end
        sub     a0, a0, a1
        call    print
        .endm

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        li      a2, 1                   # version 1
        li      a3, PAGES
        call    write_catalogue
        say     hello
        la      s0, line                # s0 = where the next byte goes

listen:
        li      a0, 64                  # at most so many bytes, to this address
        mv      a1, s0
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_READ
        ecall                           # VM exit: "has anybody typed?"
        beqz    a1, sleep
        add     s0, s0, a1
        lbu     t0, -1(s0)
        li      t1, '\n'
        bne     t0, t1, listen          # the line goes on
        la      s0, line
        lbu     t0, 0(s0)
        li      t1, 'u'
        beq     t0, t1, upgrade

sell:
        lw      t0, broken
        bnez    t0, refuse
        li      t0, WATCH_GENERATION
        beqz    t0, next_number
        call    look
next_number:
        la      s1, state
        lwu     t0, 0(s1)               # number = number * 1664525 + 1013904223, of 32 bits
        li      t1, 1664525
        mul     t0, t0, t1
        li      t1, 1013904223
        add     t0, t0, t1
        sw      t0, 0(s1)
        lw      s2, sold
        addi    s2, s2, 1
        la      t0, sold
        sw      s2, 0(t0)
        say     ticket
        mv      a0, s2
        call    print_number
        say     colon
        lwu     a0, 0(s1)
        srli    a0, a0, 12              # of which the ticket shows the upper 20
        call    print_number
        say     at
        rdtime  a0                      # what time is it for this shop?
        li      t0, TICKS_PER_MS
        divu    a0, a0, t0
        call    print_number
        say     ms
        j       listen

look:                                   # has somebody copied me, or taken me back?
        li      t0, GENERATION
        ld      t1, 0(t0)               # VM exit: the device answers
        la      t2, generation
        ld      t3, 0(t2)
        beq     t1, t3, known           # no: I am still the one I was
        sd      t1, 0(t2)
        la      t0, state               # yes: my numbers must be others from now on
        lwu     t2, 0(t0)
        xor     t2, t2, t1
        sw      t2, 0(t0)
        mv      s3, ra
        say     renewed
        mv      ra, s3
known:
        ret

upgrade:
        li      a2, 2                   # version 2, over the first pages of version 1
        li      a3, REPLACED
        call    write_catalogue
        la      t0, broken
        li      t1, 1
        sw      t1, 0(t0)
        say     upgraded
        j       listen

refuse:
        say     sorry
        j       listen

sleep:
        rdtime  a0
        li      t0, TICKS_PER_MS / 4
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall                           # VM exit: "wake me in a quarter of a millisecond"
        wfi                             # VM exit: "nothing to do until then"
        j       listen

write_catalogue:                        # write version a2 to the first a3 pages
        la      t0, catalogue
        li      t1, PAGE
next_page:
        sd      a2, 0(t0)
        sd      a3, 8(t0)               # (with a number, so that no two pages are equal)
        add     t0, t0, t1
        addi    a3, a3, -1
        bnez    a3, next_page
        ret

print:                                  # print a0 bytes that begin at GPA a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        ret

print_number:                           # print a0 in decimal
        la      t0, digits_end
        li      t1, 10
next_digit:
        remu    t2, a0, t1
        addi    t2, t2, '0'
        addi    t0, t0, -1
        sb      t2, 0(t0)
        divu    a0, a0, t1
        bnez    a0, next_digit
        mv      a1, t0
        la      a0, digits_end
        sub     a0, a0, a1
        j       print

        .section .rodata
hello:  .ascii  "Open. Press Enter to buy a ticket.\n"
hello_end:
ticket: .ascii  "Ticket "
ticket_end:
colon:  .ascii  ": "
colon_end:
at:     .ascii  ", at "
at_end:
ms:     .ascii  " ms\n"
ms_end:
renewed: .ascii "New generation. I mix it in.\n"
renewed_end:
upgraded: .ascii "This is version 2.\n"
upgraded_end:
sorry:  .ascii  "Sorry. The catalogue cannot be read.\n"
sorry_end:

        .data                           # all that changes with a sale is in this page
state:  .word   {{ seed }}              # the number before the first
sold:   .word   0
broken: .word   0
        .balign 8
generation: .dword 0                    # the last that was seen
digits: .skip   24
digits_end:
line:   .skip   128

        .bss
        .balign PAGE
catalogue: .skip PAGES * PAGE
