/* What the tests of riscv-arch-test ask of a machine: a place for the signature, and a way to stop. */
#ifndef VMLAB_MODEL_TEST_H
#define VMLAB_MODEL_TEST_H

#define RVMODEL_DATA_BEGIN .align 4; .global begin_signature; begin_signature:
#define RVMODEL_DATA_END \
    .align 4; .global end_signature; end_signature: \
    .pushsection .tohost, "aw", @progbits; \
    .align 8; .global tohost; tohost: .dword 0; \
    .align 8; .global fromhost; fromhost: .dword 0; \
    .popsection
#define RVMODEL_BOOT
#define RVMODEL_HALT li x1, 1; 1: la t0, tohost; sd x1, 0(t0); j 1b

#define RVMODEL_IO_INIT
#define RVMODEL_IO_WRITE_STR(register, text)
#define RVMODEL_IO_CHECK()
#define RVMODEL_IO_ASSERT_GPR_EQ(a, b, c)
#define RVMODEL_IO_ASSERT_SFPR_EQ(a, b, c)
#define RVMODEL_IO_ASSERT_DFPR_EQ(a, b, c)

/* The machine's software interrupt of hart 0 is the first word of the CLINT. */
#define RVMODEL_SET_MSW_INT li t1, 1; li t2, 0x2000000; sw t1, 0(t2)
#define RVMODEL_CLEAR_MSW_INT li t2, 0x2000000; sw x0, 0(t2)
#define RVMODEL_CLEAR_MTIMER_INT
#define RVMODEL_CLEAR_MEXT_INT

#endif
