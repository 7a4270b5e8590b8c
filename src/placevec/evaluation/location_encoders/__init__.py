"""Encoders of coordinates against one another on one ground: tasks, folds, floors, probes, tables.

``tasks`` says what a task is, ``real``, ``synthetic`` and ``own`` make them; ``entrants`` are the encoders with their
settings; ``ridge``, ``neighbors`` and ``trained`` are the probes, ``floors`` what needs no encoder; ``cells`` are
results on disk, ``contest`` decides what is run next; ``measures`` and ``comparing`` turn predictions into numbers
with intervals; ``table`` and ``plots`` show them.
"""
