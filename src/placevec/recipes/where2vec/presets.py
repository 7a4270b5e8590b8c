"""The presets of the recipe Where2Vec."""

from __future__ import annotations

from placevec.recipes.base import Preset

FOUNDING = {
    "encoder": "founding-spectral-cnn",
    "dim": 256,
    "full_scale": 10_000.0,
    "augment": False,
    "drop_channels": 0.0,
    "resample_texts": False,
    "templates": "founding",
    "template_rate": 1.0,
    "text_model": "all-MiniLM-L6-v2",
    "lora_rank": 8,
    "lora_alpha": 16.0,
    "lora_dropout": 0.1,
    "objective": "founding",
    "temperature": 0.07,
    "learn_temperature": False,
    "alpha": 0.5,
    "semantic_weight": 0.3,
    "batch_size": 256,
    "epochs": 500,
    "optimizer": "adamw",
    "learning_rate": 2e-4,
    "weight_decay": 0.01,
    "schedule": "constant",
    "warmup": 0.0,
    "clip_norm": 0.0,
    "save_every": 50,
    "seed": 42,
    "precision": "fp32",
}
"""Founding document 000 and its code. It split at random by entity; here blocks are held out."""

PRESETS = {
    "default": Preset(
        "a compact image network and MiniLM with LoRA adapters",
        {"learning_rate": 5e-4, "weight_decay": 0.01},
    ),
    "founding": Preset("the original system: networks, objective and hyperparameters", FOUNDING),
}
