"""The gdb remote serial protocol for the VMs of a lab."""
