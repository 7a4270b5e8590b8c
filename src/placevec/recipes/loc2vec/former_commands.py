"""Options of the two original Loc2Vec systems, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, FormerFlag

PREPARE_OSM = FormerCommand(
    "prepare-osm", "`placevec prepare loc2vec`", "prepare",
    (
        FormerFlag(("--server_ip", "--server_port", "--server_path"), "`--server-ip`, `--server-port`, `--server-path`",
                 "or the complete address with `--tiles`"),
        FormerFlag(("--min_lat", "--max_lat", "--min_lon", "--max_lon"),
                 "`--min-lat`, `--max-lat`, `--min-lon`, `--max-lon`", "or `--bbox west,south,east,north`"),
        FormerFlag(("--zoom",), "`--zoom`"),
        FormerFlag(("--num_samples",), "`--num-samples`, `--samples`", "the same `--seed` gives the same places"),
        FormerFlag(("--patch_size",), "`--patch-size`"),
        FormerFlag(("--output_dir",), "`--out`", "old prepared folders are read with `--tile-folder OLD`"),
    ),
)  # fmt: skip
TRAIN_OSM = FormerCommand(
    "train-osm", "`placevec train loc2vec`", "train",
    (
        FormerFlag(("--prepared_data_dir",), "the dataset, without a flag"),
        FormerFlag(("--val_data_dir",), "`--validation`", "default: blocks are held out"),
        FormerFlag(("--output_dir",), "`--out`"),
        FormerFlag(("--epochs", "--batch_size", "--margin", "--weight_decay"),
                 "`--epochs`, `--batch-size`, `--margin`, `--weight-decay`"),
        FormerFlag(("--embedding_dim",), "`--dim`", "any length; stored in the model"),
        FormerFlag(("--lr",), "`--learning-rate`"),
        FormerFlag(("--patch_size",), "`--size-px`", "any size; in the original, only 64 worked"),
        FormerFlag(("--input_channels",), "", "stored in the dataset"),
        FormerFlag(("--max_distance_positive",), "`--near-degrees`",
                 "or in meters, the same everywhere, with `--near-m`"),
        FormerFlag(("--min_distance_negative",), "`--far-degrees`", "or in meters with `--far-m`"),
        FormerFlag(("--num_workers",), "`--workers`"),
        FormerFlag(("--no_cuda",), "`--device cpu`"),
    ),
)  # fmt: skip
VISUALIZE_OSM = FormerCommand(
    "visualize-osm", "`placevec embed`, then `placevec explore`", "explore",
    (
        FormerFlag(("--model_path", "--prepared_data_dir"), "the run and the dataset of `embed`, without flags"),
        FormerFlag(("--output_dir",), "`--map DIR`",
                   "`embeddings_map.html` and `embeddings.geojson`, with all dimensions"),
        FormerFlag(("--max_samples",), "`--max-places`", "a seeded sample"),
        FormerFlag(("--batch_size",), "`--batch-size` of `embed`", "the original ignored it"),
        FormerFlag(("--reduction_method",), "`--method`", "`pca`, `tsne` or `umap`"),
        FormerFlag(("markers with popups, clusters of markers",), "`--map DIR`",
                   "dots with popups, in the colors of their vectors, which clustered markers would hide"),
        FormerFlag(("--n_components", "--zoom_start"), "", "three components give the color; the map opens at the data"),
    ),
)  # fmt: skip
RUN_EXAMPLE = FormerCommand(
    "run_example.py", "`placevec demo --tile-folder DIR`", "demo",
    (
        FormerFlag(("--epochs", "--test-only", "--train-only", "--visualize-only"),
                 "`--epochs`, `--test-only`, `--train-only`, `--visualize-only`"),
        FormerFlag(("--max-tiles",), "`--max-places`"),
    ),
)  # fmt: skip
TRAIN = FormerCommand(
    "train.py", "`placevec train loc2vec`", "train",
    (
        FormerFlag(("--epochs", "--batch_size", "--margin", "--dropout"),
                 "`--epochs`, `--batch-size`, `--margin`, `--dropout`"),
        FormerFlag(("--lr",), "`--learning-rate`"),
        FormerFlag(("--embedding_dim",), "`--dim`"),
        FormerFlag(("--tile_size",), "`--size-px`", "any size; in the original, only 256 worked"),
        FormerFlag(("--pos_radius",), "`--near-tiles`", "or in meters with `--near-m`"),
        FormerFlag(("--neg_radius",), "`--far-tiles`", "or in meters with `--far-m`"),
        FormerFlag(("--max_samples",), "`--samples-per-epoch`"),
        FormerFlag(("--loss_type softpn",), "`--objective triplet-swap`",
                 "the original was a hinge loss with swap; the paper's SoftPN is `--objective softpn`"),
        FormerFlag(("--loss_type triplet",), "`--objective triplet`"),
        FormerFlag(("--save_every",), "`--save-every`"),
        FormerFlag(("--num_workers",), "`--workers`"),
        FormerFlag(("--resume FILE",), "`--resume-from CHECKPOINT`",
                 "convert an old `.pth` to a model with `import-weights`"),
        FormerFlag(("`runs/`, TensorBoard",), "`tensorboard --logdir RUN`",
                 "active triplets are counted per triplet, not per batch"),
        FormerFlag(("`tensors.tsv`, `metadata.tsv`, `sprite.png`, `projector_config.pbtxt`",), "",
                 "`placevec export E.parquet --projector DIR`"),
    ),
)  # fmt: skip
VISUALIZE = FormerCommand(
    "run_interactive_viz.py, visualize.py", "`placevec explore`", "explore",
    (
        FormerFlag(("`html --max_tiles N --output_dir DIR`",), "`--html FILE --max-places N`",
                 "a single page that works offline"),
        FormerFlag(("master dashboard with algorithm switching",), "`--projections`",
                 "PCA, t-SNE and UMAP can be switched on the page; `--dashboard DIR` writes one page per table"),
        FormerFlag(("embedded previews, mobile layout, no server",), "`--html FILE`",
                 "pictures of what the model reads; touch, keyboard, dark mode"),
        FormerFlag(("2D and 3D, turning, zooming, box and lasso",), "`--html FILE`",
                 "a selection is highlighted on the map too, and saved as CSV or GeoJSON"),
        FormerFlag(("`visualize.py --max_tiles N --output_dir DIR`",), "`--png DIR --max-places N`",
                 "PCA, t-SNE and UMAP in every coloring"),
        FormerFlag(("--max_tiles",), "`--max-places`"),
        FormerFlag(("--save_embeddings",), "", "`placevec embed -o` writes the vectors to a file"),
        FormerFlag(("`streamlit`",), "`--app`", "the live app: see [The live app](../app.md)"),
        FormerFlag(("--model_path", "--tiles_root"), "`--model`, `--dataset`", "only if they have moved"),
    ),
)  # fmt: skip
PRECOMPUTE = FormerCommand(
    "precompute_embeddings.py", "`placevec embed`, then `placevec precompute`", "precompute",
    (
        FormerFlag(("--model_path", "--tiles_root"), "the run and the dataset of `embed`, without flags"),
        FormerFlag(("--max_tiles",), "`--max-places`",
                 "applies to projections; indexes hold all places, and `embed` takes any dataset"),
        FormerFlag(("--cache_dir",), "",
                 "kept next to the table, named by the hash of the vectors, so a changed model never returns old "
                 "results"),
        FormerFlag(("--skip_embeddings",), "", "`precompute` starts from the vectors that `embed` wrote"),
        FormerFlag(("--skip_projections",), "`--skip-projections`", "`--skip-indexes` is its counterpart"),
        FormerFlag(("--force_recompute",), "`--force`"),
        FormerFlag(("--dr_algorithms PCA UMAP TSNE",), "`--algorithms`", "`pca,umap,tsne`"),
        FormerFlag(("--annoy_trees",), "`--trees`", "with `--backend annoy`; the default, faiss, has none"),
        FormerFlag(("--annoy_metrics",), "`--metrics`",
                 "`cosine`, `angular`, `euclidean`, `manhattan`, `dot`; `hamming` is for bits, not for vectors"),
    ),
)  # fmt: skip
SEARCH = FormerCommand(
    "similarity search of streamlit_app.py", "`placevec search`", "search",
    (
        FormerFlag(("metric `angular`, `euclidean`, `manhattan`, `dot`",), "`--metric`"),
        FormerFlag(("number of trees",), "`--trees`", "with `--backend annoy`"),
        FormerFlag(("search quality",), "`--quality`", "`-1` is the default of the index; exact search has none"),
        FormerFlag(("number of results, 5 to 50",), "`-k`", "any number; `--threshold` finds all within a distance"),
        FormerFlag(("coordinates, tile",), "`--lon`, `--lat`, `--tile`"),
        FormerFlag(("CSV export",), "`--csv`", "or `-o` for GeoJSON and GeoParquet"),
    ),
)  # fmt: skip

APP = FormerCommand(
    "streamlit run streamlit_app.py", "`placevec explore --app`", "explore",
    (
        FormerFlag(("views Embedding Projector, Similarity Search, Tile Gallery, Tile Explorer",), "`--app`",
                 "screens Projector, Similarity search, Gallery, Place; besides them Sets, Labels, Statistics"),
        FormerFlag(("statistics dashboard",), "`--app`",
                 "Statistics: variance, clusters and what they hold, layers, content density"),
        FormerFlag(("model path, tiles root",), "`--model`, `--dataset`", "only if they have moved"),
        FormerFlag(("maximum of tiles",), "`--max-places`", "drawn; search uses all"),
        FormerFlag(("PCA, t-SNE, UMAP; 2D, 3D",), "", "Projector: Algorithm, Dimensions; the page turns and zooms"),
        FormerFlag(("color by dominant layer, geographic zone, total content",), "",
                 "Color by: Dominant layer, Spatial block, Content density; also clusters, components, `--columns`"),
        FormerFlag(("point size, image overlay",), "", "dots grow and shrink with the zoom; pictures on hover"),
        FormerFlag(("query by random tile, coordinates, gallery",), "",
                 "Query by: the same, tile numbers, a click on the map, a name, words, an image; Similar in the gallery"),
        FormerFlag(("metric `angular`, `euclidean`, `manhattan`, `dot`; results 5 to 50",), "",
                 "Distance metric, Results; More results for thousands"),
        FormerFlag(("number of trees, search quality",), "", "Trees with the index Annoy; Search quality"),
        FormerFlag(("side-by-side comparison, details of each result",), "", "Compare, Table; Open: layers, vector"),
        FormerFlag(("`loc2vec_embeddings_projections.csv`",), "", "Save projection (CSV)"),
    ),
)  # fmt: skip

COMMANDS = (PREPARE_OSM, TRAIN_OSM, VISUALIZE_OSM, RUN_EXAMPLE, TRAIN, VISUALIZE, PRECOMPUTE, SEARCH, APP)
