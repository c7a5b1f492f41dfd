"""Random programs on this machine and on another one, which must do the same: `vmlab fuzz`."""
