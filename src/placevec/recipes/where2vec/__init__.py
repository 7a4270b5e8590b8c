"""Where2Vec: named places, what is said of them in many languages, and what they look like, in one space."""
