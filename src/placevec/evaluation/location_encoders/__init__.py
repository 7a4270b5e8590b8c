"""Encoders of coordinates compared: tasks, candidates and their settings, probes, results on disk, tables.

``registry`` names the tasks that ``real_tasks``, ``synthetic_tasks`` and ``country_task`` make; ``candidates`` are the
encoders with their settings; ``run`` makes results cell by cell, ``results`` keeps them; ``compare`` measures and
compares them by the engine's bootstrap; ``table`` and ``plots`` show them.
"""
