"""``placevec demo``: what it plans, its steps, and a check of what it made."""
