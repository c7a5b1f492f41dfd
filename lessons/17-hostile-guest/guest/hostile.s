# hostile.s: the program of a customer who means harm.
#
# It waits for its master, who types one letter on its console, then Enter:
#
#   x  break out: read memory that is not ours
#   m  take the memory: write to every page, up to the last one
#   c  take the CPU: start all other vCPUs, which never rest
#   n  look for a network card, to call home
#   d  take the disk: write and write, and never listen again

        .equ    VCPUS, {{ vcpus }}
        .equ    MEMORY_KIB, 1536        # as in the tab Configuration
        .equ    OUTSIDE, 0x90000000     # far behind our memory

        .equ    DISK, 0x10001000        # registers of the virtio disk (Virtio 1.2, 4.2.2)
        .equ    NETWORK, 0x10002000     # registers of the network card
        .equ    DEVICE_ID, 0x08         # which device is here?  0: none
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

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    SBI_HART, 0x48534D      # "HSM": switch vCPUs on
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    SBI_BASE, 0x10          # asks what the hypervisor can do
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    PATIENCE, 10000         # 1 ms, in ticks of the 10 MHz clock

        .macro  say text
        la      a1, \text
        la      a0, \text\()_end
        sub     a0, a0, a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 0
        ecall
        .endm

        .macro  put register, value
        li      t0, \value
        sw      t0, \register(s0)
        .endm

        .macro  put_address register, where
        la      t0, \where
        sw      t0, \register(s0)
        sw      zero, \register + 4(s0)
        .endm

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        say     ready

listen:
        li      a0, 1                   # one byte,
        la      a1, letter              # to this address
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 1
        ecall
        beqz    a1, sleep
        lbu     t0, letter
        li      t1, 'x'
        beq     t0, t1, break_out
        li      t1, 'm'
        beq     t0, t1, take_memory
        li      t1, 'c'
        beq     t0, t1, take_cpu
        li      t1, 'n'
        beq     t0, t1, look_for_network
        li      t1, 'd'
        beq     t0, t1, take_disk
        j       listen
sleep:
        rdtime  a0
        li      t0, PATIENCE
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        wfi
        j       listen

break_out:
        say     breaking
        li      t0, OUTSIDE
        ld      t1, 0(t0)               # what is kept there?
        say     broken
        j       listen

take_memory:
        say     taking
        la      t0, behind
        li      t1, 0x80000000 + MEMORY_KIB * 1024
        li      t2, 4096
next_page:
        sd      t0, 0(t0)               # one word is enough: the page needs a frame
        add     t0, t0, t2
        bltu    t0, t1, next_page
        say     taken
        j       listen

take_cpu:
        say     starting
        li      s1, VCPUS - 1           # s1 = the vCPU to start
next_vcpu:
        mv      a0, s1
        la      a1, burn
        li      a2, 0
        li      a7, SBI_HART
        li      a6, 0
        ecall
        addi    s1, s1, -1
        bnez    s1, next_vcpu
        j       listen

burn:                                   # all other vCPUs are here
        li      a7, SBI_BASE            # for an SBI call, if you need one
        li      a6, 0
again:
        addi    t3, t3, 1
        j       again

look_for_network:
        li      t0, NETWORK
        lw      t1, DEVICE_ID(t0)
        bnez    t1, found
        say     no_card
        j       listen
found:
        say     card
        j       listen

take_disk:
        say     writing
        li      s0, DISK
        put     STATUS, 0               # reset
        put     STATUS, 3               # I have seen you, and I am a driver
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
        la      s2, available
        la      s3, used
next_write:
        addi    s1, s1, 1
        fence   w, w
        sh      s1, 2(s2)               # one more is available
        put     DOORBELL, 0
wait:
        lhu     t0, 2(s3)               # has the device done it?
        slli    t1, s1, 48
        srli    t1, t1, 48
        bne     t0, t1, wait
        j       next_write

        .section .rodata
ready:  .ascii  "At your service, master.\n"
ready_end:
breaking: .ascii "x: breaking out ...\n"
breaking_end:
broken: .ascii  "x: I am outside!\n"
broken_end:
taking: .ascii  "m: taking memory ...\n"
taking_end:
taken:  .ascii  "m: all of it is mine.\n"
taken_end:
starting: .ascii "c: all vCPUs burn.\n"
starting_end:
card:   .ascii  "n: There is a network card. I can call home.\n"
card_end:
no_card: .ascii "n: No network card.\n"
no_card_end:
writing: .ascii "d: writing for ever.\n"
writing_end:

        .data
        .balign 16
descriptors:                            # one request of three parts, used again and again
        .dword  request
        .word   16, 1 | 1 << 16         # 16 bytes; goes on with part 1
        .dword  junk
        .word   512, 1 | 2 << 16        # 512 bytes to write; goes on with part 2
        .dword  status
        .word   1, 2                    # 1 byte, which the device fills in
        .skip   80
request:
        .word   1, 0                    # "write",
        .dword  0                       # to sector 0
available: .skip 32                     # all entries are 0: the request above
        .balign 8
used:   .skip   128
junk:   .fill   512, 1, 'Z'
status: .byte   0
letter: .byte   0
        .balign 4096
behind:
