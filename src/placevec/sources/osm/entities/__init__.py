"""Named things of an extract: their types, their names in every language, and which objects are one of them."""
