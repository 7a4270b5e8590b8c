"""Options of the semantics-preserved POI embedding, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, FormerFlag

TRAIN = FormerCommand(
    "poi_embedding.py", "`placevec train poi2vec`", "train",
    (
        FormerFlag(("embedding_size", "batch_size"), "`--dim`, `--batch-size`"),
        FormerFlag(("p", "q"), "`--p`, `--q`"),
        FormerFlag(("t",), "`--across`", "the factor of steps between zones"),
        FormerFlag(("k",), "`--negatives`"),
        FormerFlag(("n", "length"), "`--walks`, `--walk-length`"),
        FormerFlag(("le_lambda",), "`--hierarchy-weight`", "with `--hierarchy code`, as published, or `paper`"),
        FormerFlag(("second_class_hierarchy_pairs",), "", "follow from the groups of the table"),
    ),
)  # fmt: skip
COMMANDS = (TRAIN,)
