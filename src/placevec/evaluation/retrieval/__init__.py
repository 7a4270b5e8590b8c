"""Images and words that find each other: ranks, types by name, languages, beside baselines.

`ranks` counts, `said` chooses the words, `rows` makes what is compared, `measures` scores it, `evaluate` does all of it.
"""
