"""The presets of the recipe MMGR."""

from __future__ import annotations

from placevec.recipes.base import Preset

FOUNDING = {
    "encoder": "resnet-50",
    "dim": 2048,
    "image_hidden": 2048,
    "size_px": 224,
    "drop_channels": 0.0,
    "keep_share": 1.0,
    "crop_share": 0.2,
    "jitter": 0.4,
    "gray": 0.2,
    "pooling": "set2set",
    "category_dim": 64,
    "train_categories": False,
    "poi_hidden": 256,
    "objective": "founding",
    "projection_dim": 128,
    "temperature": 0.5,
    "learn_temperature": False,
    "intra_weight": 0.5,
    "inter_weight": 0.5,
    "poi_weight": 0.0,
    "batch_size": 128,
    "epochs": 120,
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "clip_norm": 0.0,
    "save_every": 20,
    "precision": "fp32",
}
"""Founding document 003 and its code, whose schedule left the learning rate at 1e-2 in all but two epochs."""

PRESETS = {
    "default": Preset(
        "a compact image network, attention over points, one contrast per pair of views",
        {"learning_rate": 1e-3, "weight_decay": 0.01},
    ),
    "founding": Preset("the original system: networks, objective and hyperparameters", FOUNDING),
}
