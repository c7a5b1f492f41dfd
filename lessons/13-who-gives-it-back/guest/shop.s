# shop.s: a shop that keeps pictures in memory, and gives memory back when it is asked.
#
# Each request needs its HOT pages: prices, orders, customers.  It also shows one of PAGES pictures, each as
# often as the others.  They are drawn from a text and kept in a cache, one in a page.  The balloon driver
# (Virtio 1.2, section 5.5) gives up pages of the cache, the last ones first, as many as the host wants, but
# always keeps KEEP.  A picture that is not in the cache is drawn for each customer anew.

        .equ    HOT, 16
        .equ    PAGES, {{ pages }}      # pictures, and pages of cache
        .equ    KEEP, {{ keep }}        # pages of cache that are never given back
        .equ    DRAWING, 500            # turns of a loop: 20 microseconds
        .equ    PATIENCE, 200           # a request that takes more microseconds is slow
        .equ    CALM, 32                # after so many quick requests, all is well again

        .equ    BALLOON, 0x10005000     # the device's registers
        .equ    STATUS, 0x70
        .equ    FEATURES, 0x20
        .equ    FEATURES_SELECT, 0x24
        .equ    QUEUE_SELECT, 0x30
        .equ    QUEUE_SIZE, 0x38
        .equ    QUEUE_READY, 0x44
        .equ    NOTIFY, 0x50
        .equ    WANTED, 0x100           # pages that the host wants in the balloon
        .equ    GIVEN, 0x104            # pages that are in it
        .equ    INFLATE, 0              # the numbers of the queues
        .equ    DEFLATE, 1

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    NAP, 2500               # a quarter of a millisecond, in ticks of 10 MHz
        .equ    PAGE, 4096

        .macro  put register, value     # each access to the device is a VM exit
        li      t1, \value
        sw      t1, \register(s0)
        .endm
        .macro  queue number, area      # 8 places: descriptors, then both rings
        put     QUEUE_SELECT, \number
        put     QUEUE_SIZE, 8
        la      t2, \area
        sw      t2, 0x80(s0)
        addi    t3, t2, 128
        sw      t3, 0x90(s0)
        addi    t3, t2, 256
        sw      t3, 0xA0(s0)
        put     QUEUE_READY, 1
        .endm
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
        li      s0, BALLOON
        put     STATUS, 0
        put     STATUS, 3               # there is a driver
        put     FEATURES_SELECT, 1
        put     FEATURES, 1             # it knows Virtio 1
        put     STATUS, 11
        queue   INFLATE, inflate_queue
        queue   DEFLATE, deflate_queue
        put     STATUS, 15              # here we go
        li      s1, 0                   # s1 = pages that are in the balloon
        li      s7, 0                   # s7 = the next picture that somebody wants
        li      s8, CALM                # s8 = quick requests, one after the other, up to CALM
        li      s9, 0                   # s9 = slow requests since all was well
        li      s2, 0                   # s2 = pages of cache that are filled
        call    request
        call    fill
        call    report

serve:
        rdtime  s6
        call    request
        rdtime  a0
        sub     a0, a0, s6
        li      t0, 10
        divu    s6, a0, t0              # microseconds
        li      t0, PATIENCE
        li      t1, CALM
        bgeu    s6, t0, slow
        beq     s8, t1, look
        addi    s8, s8, 1
        bne     s8, t1, look
        say     well                    # the last of CALM quick ones
        mv      a0, s2
        call    print_number
        say     before
        mv      a0, s9
        call    print_number
        say     dot
        li      s9, 0
        j       look

slow:
        mv      t2, s8
        li      s8, 0
        addi    s9, s9, 1
        bne     t2, t1, look
        say     oh                      # the first slow one
        mv      a0, s6
        call    print_number
        say     us

look:
        lw      s3, WANTED(s0)          # VM exit: how many pages does the host want?
        mv      s4, s1
follow:
        bltu    s1, s3, give
        bgtu    s1, s3, take_back
        j       changed

give:                                   # one page more into the balloon
        li      t0, PAGES - KEEP
        bgeu    s1, t0, changed         # no more: the rest I need myself
        addi    s1, s1, 1
        li      a1, INFLATE
        la      a2, inflate_queue
        call    name_page
        j       follow

take_back:                              # one page less
        li      a1, DEFLATE
        la      a2, deflate_queue
        call    name_page
        addi    s1, s1, -1
        j       follow

changed:
        beq     s1, s4, nap
        sw      s1, GIVEN(s0)
        bgtu    s1, s4, tell
        say     thanks
tell:
        call    fill                    # pages that came back are empty
        call    report
        li      s8, 0                   # is all well with these?
nap:
        rdtime  a0
        li      t0, NAP
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall                           # VM exit: "wake me in a moment"
        wfi                             # VM exit: "nothing to do until then"
        j       serve

request:                                # a customer: the work needs all hot pages
        la      t0, hot
        li      t1, HOT
        li      t2, PAGE
touch:
        ld      t3, 0(t0)
        addi    t3, t3, 1
        sd      t3, 0(t0)
        add     t0, t0, t2
        addi    t1, t1, -1
        bnez    t1, touch
        addi    s7, s7, 1               # and a picture
        li      t1, PAGES
        bltu    s7, t1, show
        li      s7, 0
show:
        bgeu    s7, s2, draw
        slli    t1, s7, 12              # it is in the cache, behind the hot pages
        add     t0, t0, t1
        ld      t3, 0(t0)
        ret
draw:
        li      t1, DRAWING             # it is not
stroke:
        addi    t1, t1, -1
        bnez    t1, stroke
        ret

name_page:                              # tell queue a1 (its rings at a2) the s1-th page from the end
        la      t0, hot + (HOT + PAGES) * PAGE
        slli    t1, s1, 12
        sub     t0, t0, t1
        srli    t0, t0, 12              # a page's number is its GPA / 4096
        la      t1, number
        sw      t0, 0(t1)
        sd      t1, 0(a2)               # descriptor 0: the number, 4 bytes
        li      t2, 4
        sw      t2, 8(a2)
        lhu     t3, 130(a2)             # the ring: descriptor 0 once more
        andi    t4, t3, 7
        slli    t4, t4, 1
        add     t4, t4, a2
        sh      zero, 132(t4)
        addi    t3, t3, 1
        sh      t3, 130(a2)
        sw      a1, NOTIFY(s0)          # VM exit: "look"
        ret

fill:                                   # draw what is not in the cache, up to the balloon
        li      t0, PAGES
        sub     t0, t0, s1              # t0 = pages that are ours
        la      t1, hot + HOT * PAGE
        slli    t2, s2, 12
        add     t1, t1, t2
        li      t2, PAGE
next_picture:
        bgeu    s2, t0, filled
        sd      t1, 0(t1)
        add     t1, t1, t2
        addi    s2, s2, 1
        j       next_picture
filled:
        mv      s2, t0
        ret

report:                                 # print "I keep N pages."
        mv      s5, ra
        say     keep
        mv      a0, s2
        call    print_number
        say     pages
        jr      s5

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
keep:   .ascii  "I keep "
keep_end:
pages:  .ascii  " pages of cache.\n"
pages_end:
thanks: .ascii  "Thanks! "
thanks_end:
oh:     .ascii  "Slow! A request took "
oh_end:
well:   .ascii  "All quick with "
well_end:
before: .ascii  " pages of cache. Slow requests before: "
before_end:
dot:    .ascii  ".\n"
dot_end:
us:     .ascii  " us.\n"
us_end:

        .data
        .balign 16
inflate_queue: .skip 512
deflate_queue: .skip 512
number: .word   0
digits: .skip   24
digits_end:

        .bss
        .balign PAGE
hot:                                    # from here on: the hot pages, and then the cache
