"""Guests that others wrote: built here from Debian's packages, kept in the cache, never committed."""
