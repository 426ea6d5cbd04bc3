"""Values and geometry, NumPy only. Imports nothing else of this package."""
