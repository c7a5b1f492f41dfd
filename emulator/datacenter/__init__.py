"""Several hosts that act together."""
