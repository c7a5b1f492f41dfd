"""Guests that others wrote: built on this machine from Debian's packages, kept in the cache, never committed."""
