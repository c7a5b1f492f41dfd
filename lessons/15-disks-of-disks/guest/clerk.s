# clerk.s: a clerk who keeps notes on a disk.
#
# It has a virtio disk of blocks of 4 KiB, and notes one word in the first sector of a block.
# Type an order on its console, then Enter:
#
#   w 5 apple    write the word apple into block 5
#   r 5          read block 5
#   f 12 apple   fill: write the word into the first 12 blocks
#   s            sync: let the disk flush its cache

        .equ    DISK, 0x10001000        # registers of the virtio disk (Virtio 1.2, 4.2.2)
        .equ    DEVICE_ID, 0x08
        .equ    FEATURES, 0x20
        .equ    FEATURES_SELECT, 0x24
        .equ    QUEUE_SELECT, 0x30
        .equ    QUEUE_SIZE, 0x38
        .equ    QUEUE_READY, 0x44
        .equ    DOORBELL, 0x50
        .equ    STATUS, 0x70
        .equ    DESCRIPTORS_AT, 0x80
        .equ    AVAILABLE_AT, 0x90
        .equ    USED_AT, 0xA0

        .equ    READ, 0                 # kinds of requests (Virtio 1.2, 5.2.6)
        .equ    WRITE, 1
        .equ    FLUSH, 4
        .equ    I_CAN_FLUSH, 1 << 9     # a feature: the disk may have a cache

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    SBI_RESET, 0x53525354   # "SRST", power off
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    PATIENCE, 5000          # 0.5 ms, in ticks of the 10 MHz clock
        .equ    WORD_BYTES, 48

        .macro  put register, value
        li      t0, \value
        sw      t0, \register(s0)
        .endm

        .macro  put_address register, where
        la      t0, \where
        sw      t0, \register(s0)
        sw      zero, \register + 4(s0)
        .endm

        .macro  say text
        la      a1, \text
        call    print
        .endm

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        li      s0, DISK
        lw      t0, DEVICE_ID(s0)
        li      t1, 2
        bne     t0, t1, no_disk
        put     STATUS, 0               # reset
        put     STATUS, 3               # I have seen you, and I am a driver
        put     FEATURES_SELECT, 0
        put     FEATURES, I_CAN_FLUSH
        put     FEATURES_SELECT, 1
        put     FEATURES, 1             # I speak version 1
        put     STATUS, 11
        put     QUEUE_SELECT, 0
        put     QUEUE_SIZE, 8
        put_address DESCRIPTORS_AT, descriptors
        put_address AVAILABLE_AT, available
        put_address USED_AT, used
        put     QUEUE_READY, 1
        put     STATUS, 15              # go
        li      s1, 0                   # s1 = requests so far
        say     ready

listen:
        la      s4, line
next_key:
        li      a0, 1                   # one byte,
        mv      a1, s4                  # to this address
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 1
        ecall
        beqz    a1, sleep
        lbu     t0, 0(s4)
        li      t1, '\n'
        beq     t0, t1, obey
        la      t1, line_end
        bgeu    s4, t1, next_key        # too long: the rest is lost
        addi    s4, s4, 1
        j       next_key
sleep:
        rdtime  a0
        li      t0, PATIENCE
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        wfi
        j       next_key

obey:
        sb      zero, 0(s4)
        la      s4, line
        lbu     s6, 0(s4)               # s6 = the order
        beqz    s6, listen
        addi    s4, s4, 1
        call    number                  # s5 = its number; s4 = the word behind it
        li      t0, 'w'
        beq     s6, t0, write_one
        li      t0, 'r'
        beq     s6, t0, read_one
        li      t0, 'f'
        beq     s6, t0, fill
        li      t0, 's'
        beq     s6, t0, sync
        say     orders
        j       listen

write_one:
        call    take_word
        li      a0, WRITE
        call    request
        bnez    a0, failed
        call    say_block
        say     written
        j       listen

read_one:
        li      a0, READ
        call    request
        bnez    a0, failed
        call    say_block
        say     colon
        la      a1, sector
        lbu     t0, 0(a1)
        bnez    t0, full
        la      a1, empty
full:
        call    print
        say     end_of_line
        j       listen

fill:
        call    take_word
        mv      s7, s5                  # s7 = blocks to write
        li      s5, 0
        beqz    s7, listen
next_block:
        li      a0, WRITE
        call    request
        bnez    a0, failed
        addi    s5, s5, 1
        bltu    s5, s7, next_block
        mv      a0, s5
        call    say_number
        say     blocks_written
        j       listen

sync:
        li      a0, FLUSH
        call    request
        bnez    a0, failed
        say     flushed
        j       listen

failed:
        call    say_block
        say     io_error
        j       listen

no_disk:
        say     without
        li      a7, SBI_RESET
        li      a6, 0
        li      a0, 0
        li      a1, 0
        ecall

# Ask the disk for the request of kind a0 about block s5; return its status in a0, 0 is good.
request:
        la      t0, header
        sw      a0, 0(t0)
        slli    t1, s5, 3               # a block has 8 sectors
        sd      t1, 8(t0)
        la      t0, descriptors
        li      t1, 1 | 1 << 16         # the header, then the sector,
        li      t2, FLUSH
        bne     a0, t2, with_sector
        li      t1, 1 | 2 << 16         # or, to flush, no sector
with_sector:
        sw      t1, 12(t0)
        li      t1, 1 | 2 << 16         # the sector: read by the disk,
        bnez    a0, ring
        li      t1, 3 | 2 << 16         # or written by it
ring:
        sw      t1, 28(t0)
        addi    s1, s1, 1
        la      t0, available
        fence   w, w
        sh      s1, 2(t0)               # one more is available
        put     DOORBELL, 0
        la      t0, used
wait:
        lhu     t1, 2(t0)               # has the disk done it?
        slli    t2, s1, 48
        srli    t2, t2, 48
        bne     t1, t2, wait
        lbu     a0, status
        ret

# Copy the word at s4 into the sector.
take_word:
        la      t0, sector
        addi    t1, t0, WORD_BYTES
copy:
        lbu     t2, 0(s4)
        sb      t2, 0(t0)
        addi    t0, t0, 1
        beqz    t2, copied              # a zero ends the word; what is behind it is never read
        addi    s4, s4, 1
        bltu    t0, t1, copy
        sb      zero, 0(t0)
copied:
        ret

# Read the number at s4 into s5, and skip the spaces on both sides of it.
number:
        li      s5, 0
        li      t1, ' '
before:
        lbu     t0, 0(s4)
        bne     t0, t1, digits
        addi    s4, s4, 1
        j       before
digits:
        addi    t0, t0, -'0'
        li      t2, 9
        bgtu    t0, t2, behind
        li      t2, 10
        mul     s5, s5, t2
        add     s5, s5, t0
        addi    s4, s4, 1
        lbu     t0, 0(s4)
        j       digits
behind:
        lbu     t0, 0(s4)
        bne     t0, t1, parsed
        addi    s4, s4, 1
        j       behind
parsed:
        ret

say_block:
        mv      s9, ra
        say     block
        mv      a0, s5
        call    say_number
        jr      s9

# Print a0, in decimal.
say_number:
        la      a1, decimal_end
        li      t1, 10
one_digit:
        remu    t0, a0, t1
        divu    a0, a0, t1
        addi    t0, t0, '0'
        addi    a1, a1, -1
        sb      t0, 0(a1)
        bnez    a0, one_digit

# Print the text at a1, up to its zero.
print:
        mv      a0, a1
length:
        lbu     t0, 0(a0)
        beqz    t0, measured
        addi    a0, a0, 1
        j       length
measured:
        sub     a0, a0, a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 0
        ecall
        ret

        .section .rodata
ready:  .asciz  "I keep notes.\n"
without: .asciz "I have no disk.\n"
orders: .asciz  "My orders are w, r, f, s.\n"
block:  .asciz  "block "
colon:  .asciz  ": "
empty:  .asciz  "(empty)"
written: .asciz " written\n"
blocks_written: .asciz " blocks written\n"
flushed: .asciz "flushed\n"
io_error: .asciz ": I/O error\n"
end_of_line: .asciz "\n"

        .data
        .balign 16
descriptors:                            # one request of three parts, used again and again
        .dword  header
        .word   16, 0
        .dword  sector
        .word   512, 0
        .dword  status
        .word   1, 2                    # 1 byte, which the disk fills in
        .skip   80
header: .skip   16                      # kind and place of the request
available: .skip 32                     # all entries are 0: the request above
        .balign 8
used:   .skip   128
sector: .skip   512
status: .byte   0
line:   .skip   60
line_end: .skip 4
decimal: .skip  20
decimal_end: .byte 0
