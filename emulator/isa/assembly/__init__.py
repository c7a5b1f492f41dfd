"""The parts of the assembler; `emulator.isa.assembler` puts them together."""
