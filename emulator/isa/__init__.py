"""Names and numbers of the RISC-V ISA: encodings, registers, CSRs, causes, assembler and disassembler."""
