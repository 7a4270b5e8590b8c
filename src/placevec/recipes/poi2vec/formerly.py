"""Options of the semantics-preserved POI embedding, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, Formerly

TRAIN = FormerCommand(
    "poi_embedding.py", "`placevec train poi2vec`", "train",
    (
        Formerly(("embedding_size", "batch_size"), "`--dim`, `--batch-size`"),
        Formerly(("p", "q"), "`--p`, `--q`"),
        Formerly(("t",), "`--across`", "the factor of steps between zones"),
        Formerly(("k",), "`--negatives`"),
        Formerly(("n", "length"), "`--walks`, `--walk-length`"),
        Formerly(("le_lambda",), "`--hierarchy-weight`", "with `--hierarchy code`, as published, or `paper`"),
        Formerly(("second_class_hierarchy_pairs",), "", "follow from the groups of the table"),
    ),
)  # fmt: skip
COMMANDS = (TRAIN,)
