"""Measurements of the emulator, beside peers where they are installed."""
