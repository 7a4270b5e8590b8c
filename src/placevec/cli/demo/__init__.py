"""``placevec demo``: its plan, its steps, and a check of the data."""
