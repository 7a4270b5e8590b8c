"""Options of the two original Loc2Vec systems, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, Formerly

PREPARE_OSM = FormerCommand(
    "prepare-osm", "`placevec prepare loc2vec`", "prepare",
    (
        Formerly(("--server_ip", "--server_port", "--server_path"), "`--server-ip`, `--server-port`, `--server-path`",
                 "or the complete address with `--tiles`"),
        Formerly(("--min_lat", "--max_lat", "--min_lon", "--max_lon"),
                 "`--min-lat`, `--max-lat`, `--min-lon`, `--max-lon`", "or `--bbox west,south,east,north`"),
        Formerly(("--zoom",), "`--zoom`"),
        Formerly(("--num_samples",), "`--num-samples`, `--samples`", "the same `--seed` gives the same places"),
        Formerly(("--patch_size",), "`--patch-size`"),
        Formerly(("--output_dir",), "`--out`", "old prepared folders are read with `--tile-folder OLD`"),
    ),
)  # fmt: skip
TRAIN_OSM = FormerCommand(
    "train-osm", "`placevec train loc2vec`", "train",
    (
        Formerly(("--prepared_data_dir",), "the dataset, without a flag"),
        Formerly(("--val_data_dir",), "`--validation`", "default: blocks are held out"),
        Formerly(("--output_dir",), "`--out`"),
        Formerly(("--epochs", "--batch_size", "--margin", "--weight_decay"),
                 "`--epochs`, `--batch-size`, `--margin`, `--weight-decay`"),
        Formerly(("--embedding_dim",), "`--dim`", "any length; stored in the model"),
        Formerly(("--lr",), "`--learning-rate`"),
        Formerly(("--patch_size",), "`--size-px`", "any size; in the original, only 64 worked"),
        Formerly(("--input_channels",), "", "stored in the dataset"),
        Formerly(("--max_distance_positive",), "`--near-degrees`",
                 "or in meters, the same everywhere, with `--near-m`"),
        Formerly(("--min_distance_negative",), "`--far-degrees`", "or in meters with `--far-m`"),
        Formerly(("--num_workers",), "`--workers`"),
        Formerly(("--no_cuda",), "`--device cpu`"),
    ),
)  # fmt: skip
VISUALIZE_OSM = FormerCommand(
    "visualize-osm", "`placevec embed`, then `placevec explore`", "explore",
    (
        Formerly(("--model_path", "--prepared_data_dir"), "the run and the dataset of `embed`, without flags"),
        Formerly(("--output_dir",), "`--map DIR`", "`embeddings_map.html` and `embeddings.geojson`, with all dimensions"),
        Formerly(("--max_samples",), "`--max-places`", "a seeded sample"),
        Formerly(("--batch_size",), "`--batch-size` of `embed`", "the original ignored it"),
        Formerly(("--reduction_method",), "`--method`", "`pca`, `tsne` or `umap`"),
        Formerly(("--n_components", "--zoom_start"), "", "three components give the color; the map opens at the data"),
    ),
)  # fmt: skip
RUN_EXAMPLE = FormerCommand(
    "run_example.py", "`placevec demo --tile-folder DIR`", "demo",
    (
        Formerly(("--epochs", "--test-only", "--train-only", "--visualize-only"),
                 "`--epochs`, `--test-only`, `--train-only`, `--visualize-only`"),
        Formerly(("--max-tiles",), "`--max-places`"),
    ),
)  # fmt: skip
TRAIN = FormerCommand(
    "train.py", "`placevec train loc2vec`", "train",
    (
        Formerly(("--epochs", "--batch_size", "--margin", "--dropout"),
                 "`--epochs`, `--batch-size`, `--margin`, `--dropout`"),
        Formerly(("--lr",), "`--learning-rate`"),
        Formerly(("--embedding_dim",), "`--dim`"),
        Formerly(("--tile_size",), "`--size-px`", "any size; in the original, only 256 worked"),
        Formerly(("--pos_radius",), "`--near-tiles`", "or in meters with `--near-m`"),
        Formerly(("--neg_radius",), "`--far-tiles`", "or in meters with `--far-m`"),
        Formerly(("--max_samples",), "`--samples-per-epoch`"),
        Formerly(("--loss_type softpn",), "`--objective triplet-swap`",
                 "the original was a hinge loss with swap; the paper's SoftPN is `--objective softpn`"),
        Formerly(("--loss_type triplet",), "`--objective triplet`"),
        Formerly(("--save_every",), "`--save-every`"),
        Formerly(("--num_workers",), "`--workers`"),
        Formerly(("--resume FILE",), "`--resume-from CHECKPOINT`",
                 "convert an old `.pth` to a model with `import-weights`"),
        Formerly(("`runs/`, TensorBoard",), "`tensorboard --logdir RUN`",
                 "active triplets are counted per triplet, not per batch"),
    ),
)  # fmt: skip
VISUALIZE = FormerCommand(
    "run_interactive_viz.py, visualize.py", "`placevec explore`", "explore",
    (
        Formerly(("`html --max_tiles N --output_dir DIR`",), "`--html FILE --max-places N`",
                 "a single page that works offline"),
        Formerly(("`visualize.py --max_tiles N --output_dir DIR`",), "`--png DIR --max-places N`",
                 "PCA, t-SNE and UMAP in every coloring"),
        Formerly(("--max_tiles",), "`--max-places`"),
        Formerly(("--save_embeddings",), "", "`placevec embed -o` writes the vectors to a file"),
        Formerly(("`streamlit`",), "", "planned"),
    ),
)  # fmt: skip
SEARCH = FormerCommand(
    "precompute_embeddings.py, similarity search", "`placevec embed`, `placevec search`", "search",
    (
        Formerly(("--model_path", "--tiles_root"), "the run and the dataset of `embed`, without flags"),
        Formerly(("--cache_dir", "--skip_embeddings", "--force_recompute"), "",
                 "the table stores the hashes of model and data, so a changed model never returns old vectors"),
        Formerly(("metric `angular`, `euclidean`, `manhattan`, `dot`",), "`--metric`",
                 "`angular` is `cosine`; search is exact, so there are no trees or quality settings"),
        Formerly(("coordinates, tile, results",), "`--lon`, `--lat`, `--tile`, `-k`"),
        Formerly(("CSV export",), "`--csv`"),
        Formerly(("Annoy index",), "", "planned"),
    ),
)  # fmt: skip

COMMANDS = (PREPARE_OSM, TRAIN_OSM, VISUALIZE_OSM, RUN_EXAMPLE, TRAIN, VISUALIZE, SEARCH)
