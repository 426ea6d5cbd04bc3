"""Identity of objects over time."""
