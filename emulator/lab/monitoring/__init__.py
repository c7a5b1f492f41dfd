"""Monitoring: what a lab is measured by in virtual time, and rules that watch it."""
