# spy.s: a customer who wants to know what the neighbours have in memory.  It never leaves its own VM.
#
# It waits for one letter on its console:
#
#   c  calibrate: how long does a write take, to a page that is shared, and to one that is not?
#   p  probe: which version of the library does a neighbour have?

        .equ    THRESHOLD, 0            # ns: a write that takes longer was slow.  0: not known yet

        .equ    VERSIONS, 8
        .equ    PATIENCE, 300000        # 30 ms, in ticks of 10 MHz: until pages have been merged

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    NAP, 20000              # 2 ms
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
        say     ready

listen:
        li      a0, 1                   # has somebody typed a letter?
        la      a1, letter
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 1
        ecall
        beqz    a1, idle
        lbu     t0, letter
        li      t1, 'c'
        beq     t0, t1, calibrate
        li      t1, 'p'
        beq     t0, t1, probe
        j       listen
idle:
        li      s0, NAP
        call    sleep
        j       listen

calibrate:                              # two equal pages and one other, all its own
        la      s1, pages
        rdtime  s2
        slli    s2, s2, 24              # nobody else has such a page
        mv      a0, s2
        call    fill
        mv      a0, s2
        call    fill
        addi    a0, s2, 1
        call    fill
        li      s0, PATIENCE
        call    sleep
        la      s1, pages
        call    write                   # it has a twin
        mv      s3, a0
        li      t0, 2 * 4096
        add     s1, s1, t0
        call    write                   # it has none
        mv      s4, a0
        say     twin
        mv      a0, s3
        call    print_number
        say     alone
        mv      a0, s4
        call    print_number
        say     ns
        j       listen

probe:                                  # page 0 of each version: who else has it?
        la      s1, pages
        li      s2, 1
guess:
        slli    a0, s2, 16
        call    fill
        addi    s2, s2, 1
        li      t0, VERSIONS
        bleu    s2, t0, guess
        li      s0, PATIENCE
        call    sleep                   # time for the hypervisor to find them

        la      s1, pages
        li      s2, 1
        li      s5, 0                   # s5 = how many were slow
measure:
        call    write
        mv      s3, a0
        say     version
        mv      a0, s2
        call    print_number
        say     took
        mv      a0, s3
        call    print_number
        say     ns
        li      t0, THRESHOLD
        beqz    t0, next
        bleu    s3, t0, next
        addi    s5, s5, 1
        mv      s6, s2                  # s6 = the last of them
        say     somebody
next:
        li      t0, PAGE
        add     s1, s1, t0
        addi    s2, s2, 1
        li      t0, VERSIONS
        bleu    s2, t0, measure
        li      t0, THRESHOLD
        beqz    t0, listen
        say     slow
        mv      a0, s5
        call    print_number
        say     of_all
        beqz    s5, end
        say     last
        mv      a0, s6
        call    print_number
end:
        say     dot
        j       listen

write:                                  # a0 = ns that it takes to write 32 words to the page at s1
        rdtime  t0
        addi    t1, s1, 256
again:
        sd      zero, 0(s1)             # the first one, if the page is shared: VM exit
        addi    s1, s1, 8
        bltu    s1, t1, again
        rdtime  a0
        addi    s1, s1, -256
        sub     a0, a0, t0
        li      t0, 100
        mul     a0, a0, t0              # a tick is 100 ns
        ret

sleep:                                  # for s0 ticks
        rdtime  a0
        add     a0, a0, s0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        wfi
        ret

fill:                                   # fill the page at s1 from the number a0, as the library's makers do
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
ready:  .ascii  "Type c or p.\n"
ready_end:
twin:   .ascii  "A write to a page with a twin takes "
twin_end:
alone:  .ascii  " ns, to one without "
alone_end:
version: .ascii "Version "
version_end:
took:   .ascii  ": "
took_end:
ns:     .ascii  " ns.\n"
ns_end:
somebody: .ascii "  Somebody has this page.\n"
somebody_end:
dot:    .ascii  ".\n"
dot_end:
slow:   .ascii  "Slow: "
slow_end:
of_all: .ascii  " of 8"
of_all_end:
last:   .ascii  ", the last one is version "
last_end:

        .data
letter: .byte   0
digits: .skip   24
digits_end:

        .bss
        .balign PAGE
pages:                                  # from here on: the pages that are compared
