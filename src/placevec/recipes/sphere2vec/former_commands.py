"""Options of the original Sphere2Vec, for the migration page and for hints."""

from __future__ import annotations

from placevec.recipes.base import FormerCommand, FormerFlag

DATA = FormerCommand(
    "main.py: data", "`placevec prepare sphere2vec`", "prepare",
    (
        FormerFlag(("--dataset inat_2018", "`inat_2017`, `birdsnap`, `nabirds`, `yfcc`, `fmow`"),
                 "`--layout inat2018`, with `--folder`", "in the original, folders were set in `paths.py`"),
        FormerFlag(("--dataset vmfC50S100L1H32",), "",
                 "[generated](#synthetic-data-baselines-pictures), because the files were never published"),
        FormerFlag(("--meta_type orig_meta", "`ebird_meta`"), "`--meta orig`, `--meta ebird`", "for birds"),
        FormerFlag(("--load_cnn_predictions",), "", "image predictions in the folder are found automatically"),
        FormerFlag(("--inat2018_resolution", "--cnn_pred_type", "--cnn_model"), "`--features features_inception_hr`",
                 "the subfolder with the predictions"),
        FormerFlag(("--load_cnn_features", "--load_cnn_features_train"), "`--image-features`",
                 "`.npy` in the order of the table, or `.parquet`"),
        FormerFlag(("--load_img",), "`--images`", "chips with coordinates, read by band; photographs are not supported"),
        FormerFlag(("--load_val_op",), "", "photos without coordinates stay in validation, where only the image is used"),
    ),
)  # fmt: skip
ENCODER = FormerCommand(
    "main.py: encoder", "`placevec train sphere2vec`", "train",
    (
        FormerFlag(("--spa_enc_type",), "`--encoder`", "any name in the table above"),
        FormerFlag(("--frequency_num",), "`--scales`; for rff `--frequencies`"),
        FormerFlag(("--min_radius",), "`--r-min`",
                 "in Earth radii for all encoders; `gridcell` and `theory` used degrees, and still do with"
                 " `--variant original`"),
        FormerFlag(("--max_radius",), "`--r-max`", "the same"),
        FormerFlag(("--freq_init geometric",), "`--variant original`",
                 "the default rounds these to integer frequencies, which are periodic around the Earth"),
        FormerFlag(("--num_hidden_layer",), "`--layers`"),
        FormerFlag(("--hidden_dim",), "`--hidden`"),
        FormerFlag(("--num_filts",), "`--dim`"),
        FormerFlag(("--spa_f_act",), "`--activation`", "default leakyrelu; none after the last layer"),
        FormerFlag(("--dropout",), "`--dropout`", "default 0.1"),
        FormerFlag(("--num_rbf_anchor_pts",), "`--anchors`", "saved with the model"),
        FormerFlag(("--rbf_kernal_size",), "`--sigma`",
                 "for rff with `--variant original` it is `--kernel-size`, a variance"),
        FormerFlag(("--use_date_feats T",), "`--seasons 1`"),
        FormerFlag(("--date_encode", "--loc_encode"), "", "always sines and cosines"),
        FormerFlag(("--use_layn", "--skip_connection", "--spa_enc_use_postmat"), "`--network`",
                 "`ffn` has both, as was the default"),
        FormerFlag(("--map_range",), "", "the range is always the whole Earth"),
    ),
)  # fmt: skip
TRAINING = FormerCommand(
    "main.py: training", "`placevec train sphere2vec`", "train",
    (
        FormerFlag(("--train_loss full_loss",), "`--loss presence`", "computed from logits, so that no gradient is lost"),
        FormerFlag(("--train_loss full_loss_user",), "`--loss presence --users`"),
        FormerFlag(("--neg_rand_type spherical",),
                 "`--background sphere`; what the original code did: `--background octant`",
                 "the original drew longitudes from 0 to 180 and latitudes from 0 to 90"),
        FormerFlag(("--rand_sample_weight",), "`--background-weight`"),
        FormerFlag(("--lr",), "`--learning-rate`"),
        FormerFlag(("--lr_decay",), "`--schedule decay`", "factor 0.98 per epoch"),
        FormerFlag(("--weight_decay", "--batch_size", "--device"), "`--weight-decay`, `--batch-size`, `--device`"),
        FormerFlag(("--num_epochs",), "`--epochs`"),
        FormerFlag(("--balanced_train_loader", "--max_num_exs_per_class"), "`--balance 100`"),
        FormerFlag(("--train_sample_ratio",), "`--few-shot`", "the share of every class, at least one point"),
        FormerFlag(("--train_sample_method",), "`--seed`", "the same seed gives the same rows"),
        FormerFlag(("--model_dir",), "`--out`"),
        FormerFlag(("--log_frequency",), "", "curves: `tensorboard --logdir RUN`"),
        FormerFlag(("--do_epoch_save",), "`--save-every`"),
        FormerFlag(("--load_super_model",), "`--resume`, or `--init` to start from another run's weights"),
        FormerFlag(("--do_super_train F",), "", "for an untrained encoder, use `pv.encoders.location`"),
    ),
)  # fmt: skip
EVALUATION = FormerCommand(
    "main.py, run_evaluation.py: evaluation", "`placevec evaluate`", "evaluate",
    (
        FormerFlag(("--eval_split",), "", "validation and test, if the dataset has them"),
        FormerFlag(("--eval_frequency",), "", "the loss after every epoch, all metrics at the end"),
        FormerFlag(("flags of the model",), "the run, without a flag", "stored in the run"),
    ),
)  # fmt: skip
CSP = FormerCommand(
    "main.py, train_unsuper.py: CSP", "`placevec train sphere2vec`", "train",
    (
        FormerFlag(("--unsuper_dataset", "--unsuper_meta_type"), "the dataset, without a flag"),
        FormerFlag(("--do_unsuper_train",), "", "a separate training run, with `--loss csp`"),
        FormerFlag(("--num_epochs_unsuper",), "`--epochs`"),
        FormerFlag(("--unsuper_lr",), "`--learning-rate`"),
        FormerFlag(("--load_unsuper_model",), "`--init`"),
        FormerFlag(("--unsuper_loss contsoftmax",), "`--loss csp --no-symmetric`"),
        FormerFlag(("--unsuper_loss contsoftmaxsym",), "`--loss csp`"),
        FormerFlag(("--unsuper_loss imgcontloss", "`imgcontlosssimcse`"), "`--loss csp-nce`"),
        FormerFlag(("--unsuper_loss l2regress",), "`--loss csp-mse`"),
        FormerFlag(("--num_neg_rand_loc",), "`--negative-points`"),
        FormerFlag(("--simcse_weight",), "`--twin-weight`"),
        FormerFlag(("--unsuper_temp_inbatch",), "`--temperature`"),
        FormerFlag(("--unsuper_temp_negloc",), "`--background-temperature`"),
        FormerFlag(("--unsuper_temp_simcse",), "`--twin-temperature`"),
        FormerFlag(("--unsuper_eval_frequency", "--unsuper_save_frequency"), "`--save-every`"),
    ),
)  # fmt: skip

COMMANDS = (DATA, ENCODER, TRAINING, EVALUATION, CSP)
