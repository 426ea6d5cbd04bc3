"""Shape families: each makes the parts of one object in its canonical frame."""
