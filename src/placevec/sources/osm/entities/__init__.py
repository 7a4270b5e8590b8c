"""Named entities of an extract: their types, names in all languages, words, and geometry."""
