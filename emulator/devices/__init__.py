"""Devices that guests and bare machines talk to."""
