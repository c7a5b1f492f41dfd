"""A physical host: RAM frames, harts, the ELF loader."""
