"""One student's world: configuration, action log, replay and observations."""
