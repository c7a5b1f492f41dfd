"""Memory as a resource of the host: who gets frames, and where they come from when there are none left."""
