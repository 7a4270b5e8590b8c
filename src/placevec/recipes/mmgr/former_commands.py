"""Options of the original MMGR, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, FormerFlag

TRAIN = FormerCommand(
    "mmgr.py", "`placevec train mmgr`", "train",
    (
        FormerFlag(("--data_path",), "the dataset, without a flag",
                   "`placevec prepare mmgr --chip-folder` reads the folders of the original"),
        FormerFlag(("--lr", "--total_epoch"), "`--learning-rate`, `--epochs`"),
        FormerFlag(("--batch_size", "--temperature"), "`--batch-size`, `--temperature`",
                 "the loss takes batches of any size; an incomplete batch is still left out"),
        FormerFlag(("--projection_dim",), "`--projection-dim`"),
        FormerFlag(("--resnet",), "`--encoder`", "`resnet-18`, `-34` and `-50`; the original ignored it"),
        FormerFlag(("--world_size",), "", "the number of processes comes from torchrun"),
        FormerFlag(("--model_path", "--train_record"), "`--out`", "`metrics.jsonl` and TensorBoard events are in the "
        "run"),
        FormerFlag(("--schedule",), "`--schedule decay`",
                 "the original lowered the rate only in epochs 90 and 110; `--preset founding` keeps it constant"),
        FormerFlag(("--cos",), "`--schedule cosine`", "the default; in the original, any value switched it on"),
    ),
)  # fmt: skip
PROBE = FormerCommand(
    "res-pop.py", "`placevec embed`, then `placevec evaluate --labels`", "evaluate",
    (
        FormerFlag(("--data_path", "--model_path"), "the vectors and `--labels TABLE`",
                   "the original had the checkpoint path in its code"),
        FormerFlag(("--resnet", "--projection_dim", "--temperature", "--world_size"), "",
                   "the run knows its networks; a probe has none"),
        FormerFlag(("--lr", "--batch_size", "--cos"), "", "probes are fitted without a learning rate"),
        FormerFlag(("--total_epoch", "--schedule", "--train_record"), "",
                   "probes are fitted to the end; the original reported the best epoch on the test list"),
    ),
)  # fmt: skip
COMMANDS = (TRAIN, PROBE)
