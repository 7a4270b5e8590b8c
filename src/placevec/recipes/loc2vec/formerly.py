"""What the two founding Loc2Vec systems called their options: the page for those who come from there, and hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, Formerly

PREPARE_OSM = FormerCommand(
    "prepare-osm", "`placevec prepare loc2vec`", "prepare",
    (
        Formerly(("--server_ip", "--server_port", "--server_path"), "`--server-ip`, `--server-port`, `--server-path`",
                 "or the whole address: `--tiles`"),
        Formerly(("--min_lat", "--max_lat", "--min_lon", "--max_lon"),
                 "`--min-lat`, `--max-lat`, `--min-lon`, `--max-lon`", "or `--bbox west,south,east,north`"),
        Formerly(("--zoom",), "`--zoom`"),
        Formerly(("--num_samples",), "`--num-samples`, `--samples`", "with `--seed`: the same places every time"),
        Formerly(("--patch_size",), "`--patch-size`"),
        Formerly(("--output_dir",), "`--out`", "a prepared folder of old is read too: `--tile-folder OLD`"),
    ),
)  # fmt: skip
TRAIN_OSM = FormerCommand(
    "train-osm", "`placevec train loc2vec`", "train",
    (
        Formerly(("--prepared_data_dir",), "the dataset, without a flag"),
        Formerly(("--val_data_dir",), "`--validation`", "without it, blocks are held out"),
        Formerly(("--output_dir",), "`--out`"),
        Formerly(("--epochs", "--batch_size", "--margin", "--weight_decay"),
                 "`--epochs`, `--batch-size`, `--margin`, `--weight-decay`"),
        Formerly(("--embedding_dim",), "`--dim`", "any length; the model knows its own"),
        Formerly(("--lr",), "`--learning-rate`"),
        Formerly(("--patch_size",), "`--size-px`", "any size; once only 64 worked"),
        Formerly(("--input_channels",), "", "the dataset says how many channels it has"),
        Formerly(("--max_distance_positive",), "`--near-degrees`",
                 "or meters, which are the same everywhere: `--near-m`"),
        Formerly(("--min_distance_negative",), "`--far-degrees`", "or meters: `--far-m`"),
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
        Formerly(("--batch_size",), "`--batch-size` of `embed`", "it is heeded"),
        Formerly(("--reduction_method",), "`--method`", "`pca`, `tsne` or `umap`"),
        Formerly(("--n_components", "--zoom_start"), "", "three components become the color; the map opens on the data"),
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
        Formerly(("--tile_size",), "`--size-px`", "any size; once only 256 worked"),
        Formerly(("--pos_radius",), "`--near-tiles`", "or meters: `--near-m`"),
        Formerly(("--neg_radius",), "`--far-tiles`", "or meters: `--far-m`"),
        Formerly(("--max_samples",), "`--samples-per-epoch`"),
        Formerly(("--loss_type softpn",), "`--objective triplet-swap`",
                 "it was a hinge with the swap; the SoftPN of the paper is `--objective softpn`"),
        Formerly(("--loss_type triplet",), "`--objective triplet`"),
        Formerly(("--save_every",), "`--save-every`"),
        Formerly(("--num_workers",), "`--workers`"),
        Formerly(("--resume FILE",), "`--resume-from CHECKPOINT`",
                 "the old `.pth` comes in by `import-weights`, as a model"),
        Formerly(("`runs/`, TensorBoard",), "`tensorboard --logdir RUN`",
                 "the share of active triplets is counted a triplet, not a batch"),
    ),
)  # fmt: skip
VISUALIZE = FormerCommand(
    "run_interactive_viz.py, visualize.py", "`placevec explore`", "explore",
    (
        Formerly(("`html --max_tiles N --output_dir DIR`",), "`--html FILE --max-places N`",
                 "one page that opens offline"),
        Formerly(("`visualize.py --max_tiles N --output_dir DIR`",), "`--png DIR --max-places N`",
                 "PCA, t-SNE and UMAP in every coloring"),
        Formerly(("--max_tiles",), "`--max-places`"),
        Formerly(("--save_embeddings",), "", "vectors are a file of their own: `placevec embed -o`"),
        Formerly(("`streamlit`",), "", "planned"),
    ),
)  # fmt: skip
SEARCH = FormerCommand(
    "precompute_embeddings.py, similarity search", "`placevec embed`, `placevec search`", "search",
    (
        Formerly(("--model_path", "--tiles_root"), "the run and the dataset of `embed`, without flags"),
        Formerly(("--cache_dir", "--skip_embeddings", "--force_recompute"), "",
                 "the table is kept by the hash of model and data: a changed model never gives old vectors"),
        Formerly(("metric `angular`, `euclidean`, `manhattan`, `dot`",), "`--metric`",
                 "`angular` is `cosine`; search is exact, trees and quality need not be chosen"),
        Formerly(("coordinates, tile, results",), "`--lon`, `--lat`, `--tile`, `-k`"),
        Formerly(("CSV export",), "`--csv`"),
        Formerly(("Annoy index",), "", "planned"),
    ),
)  # fmt: skip

COMMANDS = (PREPARE_OSM, TRAIN_OSM, VISUALIZE_OSM, RUN_EXAMPLE, TRAIN, VISUALIZE, SEARCH)
