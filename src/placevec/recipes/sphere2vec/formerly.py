"""Options of the original Sphere2Vec, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, Formerly

DATA = FormerCommand(
    "main.py: data", "`placevec prepare sphere2vec`", "prepare",
    (
        Formerly(("--dataset inat_2018", "`inat_2017`, `birdsnap`, `nabirds`, `yfcc`, `fmow`"),
                 "`--layout inat2018`, with `--folder`", "in the original, folders were set in `paths.py`"),
        Formerly(("--dataset vmfC50S100L1H32",), "",
                 "[generated](#synthetic-data-baselines-pictures), because the files were never published"),
        Formerly(("--meta_type orig_meta", "`ebird_meta`"), "`--meta orig`, `--meta ebird`", "for birds"),
        Formerly(("--load_cnn_predictions",), "", "image predictions in the folder are found automatically"),
        Formerly(("--inat2018_resolution", "--cnn_pred_type", "--cnn_model"), "`--features features_inception_hr`",
                 "the subfolder with the predictions"),
        Formerly(("--load_cnn_features", "--load_cnn_features_train"), "`--image-features`",
                 "`.npy` in the order of the table, or `.parquet`"),
        Formerly(("--load_img",), "`--images`", "chips with coordinates, read by band; photographs are not supported"),
        Formerly(("--load_val_op",), "", "photos without coordinates stay in validation, where only the image is used"),
    ),
)  # fmt: skip
ENCODER = FormerCommand(
    "main.py: encoder", "`placevec train sphere2vec`", "train",
    (
        Formerly(("--spa_enc_type",), "`--encoder`", "any name in the table above"),
        Formerly(("--frequency_num",), "`--scales`; for rff `--frequencies`"),
        Formerly(("--min_radius",), "`--r-min`",
                 "in Earth radii for all encoders; `gridcell` and `theory` used degrees, and still do with"
                 " `--variant original`"),
        Formerly(("--max_radius",), "`--r-max`", "the same"),
        Formerly(("--freq_init geometric",), "`--variant original`",
                 "the default rounds these to integer frequencies, which are periodic around the Earth"),
        Formerly(("--num_hidden_layer",), "`--layers`"),
        Formerly(("--hidden_dim",), "`--hidden`"),
        Formerly(("--num_filts",), "`--dim`"),
        Formerly(("--spa_f_act",), "`--activation`", "default leakyrelu; none after the last layer"),
        Formerly(("--dropout",), "`--dropout`", "default 0.1"),
        Formerly(("--num_rbf_anchor_pts",), "`--anchors`", "saved with the model"),
        Formerly(("--rbf_kernal_size",), "`--sigma`",
                 "for rff with `--variant original` it is `--kernel-size`, a variance"),
        Formerly(("--use_date_feats T",), "`--seasons 1`"),
        Formerly(("--date_encode", "--loc_encode"), "", "always sines and cosines"),
        Formerly(("--use_layn", "--skip_connection", "--spa_enc_use_postmat"), "`--network`",
                 "`ffn` has both, as was the default"),
        Formerly(("--map_range",), "", "the range is always the whole Earth"),
    ),
)  # fmt: skip
TRAINING = FormerCommand(
    "main.py: training", "`placevec train sphere2vec`", "train",
    (
        Formerly(("--train_loss full_loss",), "`--loss presence`", "computed from logits, so that no gradient is lost"),
        Formerly(("--train_loss full_loss_user",), "`--loss presence --users`"),
        Formerly(("--neg_rand_type spherical",),
                 "`--background sphere`; what the original code did: `--background octant`",
                 "the original drew longitudes from 0 to 180 and latitudes from 0 to 90"),
        Formerly(("--rand_sample_weight",), "`--background-weight`"),
        Formerly(("--lr",), "`--learning-rate`"),
        Formerly(("--lr_decay",), "`--schedule decay`", "factor 0.98 per epoch"),
        Formerly(("--weight_decay", "--batch_size", "--device"), "`--weight-decay`, `--batch-size`, `--device`"),
        Formerly(("--num_epochs",), "`--epochs`"),
        Formerly(("--balanced_train_loader", "--max_num_exs_per_class"), "`--balance 100`"),
        Formerly(("--train_sample_ratio",), "`--few-shot`", "the share of every class, at least one point"),
        Formerly(("--train_sample_method",), "`--seed`", "the same seed gives the same rows"),
        Formerly(("--model_dir",), "`--out`"),
        Formerly(("--log_frequency",), "", "curves: `tensorboard --logdir RUN`"),
        Formerly(("--do_epoch_save",), "`--save-every`"),
        Formerly(("--load_super_model",), "`--resume`, or `--init` to start from another run's weights"),
        Formerly(("--do_super_train F",), "", "for an untrained encoder, use `pv.encoders.location`"),
    ),
)  # fmt: skip
EVALUATION = FormerCommand(
    "main.py, run_evaluation.py: evaluation", "`placevec evaluate`", "evaluate",
    (
        Formerly(("--eval_split",), "", "validation and test, if the dataset has them"),
        Formerly(("--eval_frequency",), "", "the loss after every epoch, all metrics at the end"),
        Formerly(("flags of the model",), "the run, without a flag", "stored in the run"),
    ),
)  # fmt: skip
CSP = FormerCommand(
    "main.py, train_unsuper.py: CSP", "`placevec train sphere2vec`", "train",
    (
        Formerly(("--unsuper_dataset", "--unsuper_meta_type"), "the dataset, without a flag"),
        Formerly(("--do_unsuper_train",), "", "a separate training run, with `--loss csp`"),
        Formerly(("--num_epochs_unsuper",), "`--epochs`"),
        Formerly(("--unsuper_lr",), "`--learning-rate`"),
        Formerly(("--load_unsuper_model",), "`--init`"),
        Formerly(("--unsuper_loss contsoftmax",), "`--loss csp --no-symmetric`"),
        Formerly(("--unsuper_loss contsoftmaxsym",), "`--loss csp`"),
        Formerly(("--unsuper_loss imgcontloss", "`imgcontlosssimcse`"), "`--loss csp-nce`"),
        Formerly(("--unsuper_loss l2regress",), "`--loss csp-mse`"),
        Formerly(("--num_neg_rand_loc",), "`--negative-points`"),
        Formerly(("--simcse_weight",), "`--twin-weight`"),
        Formerly(("--unsuper_temp_inbatch",), "`--temperature`"),
        Formerly(("--unsuper_temp_negloc",), "`--background-temperature`"),
        Formerly(("--unsuper_temp_simcse",), "`--twin-temperature`"),
        Formerly(("--unsuper_eval_frequency", "--unsuper_save_frequency"), "`--save-every`"),
    ),
)  # fmt: skip

COMMANDS = (DATA, ENCODER, TRAINING, EVALUATION, CSP)
