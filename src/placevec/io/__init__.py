"""Reading and writing files: atomic writes, untrusted JSON, foreign checkpoints, Arrow, progress."""
