"""Simple learners on frozen features: linear, k nearest neighbors, random forest, MLP, and the two kinds of chance.

Features are standardized on the training fold. Regularization and k are chosen inside the training fold, on a
quarter of its blocks, never on the tested places. Scores of classes are what they would be were all classes equally
common (`as_if_equally_common`), because macro-F1 counts them all alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation import ridge
from placevec.evaluation.neighbors import neighbor_means
from placevec.evaluation.ridge import Votes
from placevec.evaluation.scores import better, score
from placevec.evaluation.tasks import METRIC, RETRIEVED, Kind, varied

Features = NDArray[np.floating[Any]]
Array = NDArray[np.float64]

RIDGE_ALPHAS = (1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties, a place and feature of unit variance."""
AT_THE_END = "was best, at the end of the range tried: a wider grid could be better"
END_MATTERS = 1e-3
"""How much the score must still rise at the end of a grid for a note: a wider one could be better."""
MLP_UNITS, MLP_STEPS = 64, 100
"""Hidden units of the multilayer perceptron, and steps of L-BFGS."""
MLP_PENALTIES = (1.0, 10.0, 100.0)
"""Penalties that it chooses from, in scikit-learn's unit: divided by the number of places."""
TREE_PLACES = 2_000
"""Places that one tree is grown on, drawn with replacement: bounds the time, and trees differ more."""


@dataclass(frozen=True)
class Effort:
    """How much a probe may try.

    Attributes:
        trees: of the random forest.
        inverse_penalties: C of the logistic regression.
        neighbors: k of the nearest neighbors; those that a training fold does not hold are left out.
        votes: how neighbors count.
        process_places: places that a Gaussian process learns from; of more a sample is drawn.
        mlp_penalties: alpha of the multilayer perceptron; it is not tried without any.
    """

    trees: int = 200
    inverse_penalties: tuple[float, ...] = (0.01, 0.1, 1.0)
    neighbors: tuple[int, ...] = (5, 20)
    votes: tuple[Votes, ...] = ("equal",)
    process_places: int = 2_000
    mlp_penalties: tuple[float, ...] = ()


@dataclass(frozen=True)
class Training:
    """What a probe learns from.

    Attributes:
        kind: of the task.
        features: (n, D).
        target: (n,) class numbers, (n, G) 0/1 or shares, or (n,) values.
        outputs: K classes, G groups, 1, or places retrieved.
        block: (n,) spatial block of each place.
        seed: of whatever is random.
        notes: filled by probes, such as with a choice at the end of what was tried while the score still rose.
        balanced: scores of classes are what they would be were all equally common, as macro-F1 asks; accuracy does not.
    """

    kind: Kind
    features: Features
    target: NDArray[Any]
    outputs: int
    block: NDArray[np.int64]
    seed: int
    notes: list[str] = field(default_factory=list, compare=False)
    balanced: bool = True

    def columns(self) -> Array:
        """(n, outputs) the target as numbers: one column per class or group, or the value."""
        if self.kind == "classification":
            return np.asarray(np.eye(self.outputs)[self.target])
        return np.asarray(self.target, np.float64).reshape(len(self.target), -1)

    def taken(self, rows: NDArray[np.int64]) -> Training:
        """The places at ``rows``."""
        return replace(self, features=self.features[rows], target=self.target[rows], block=self.block[rows])


Probe = Callable[[Training, Features, Effort], Array]
"""Learns, and returns (m, outputs) scores of the tested features (m, D)."""


def standardized(train: Features, test: Features) -> tuple[Array, Array]:
    """Both arrays, standardized with the mean and standard deviation of ``train``; a constant column becomes zero."""
    train, test = np.asarray(train, np.float64), np.asarray(test, np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 1e-12 * (np.abs(mean) + 1e-300), deviation, np.inf)
    return (train - mean) / scale, (test - mean) / scale


def _choose(
    training: Training,
    options: Sequence[Any],
    learn: Callable[[Training, Features, Sequence[Any]], Sequence[Array]],
    called: str = "",
) -> Any:
    """The option that scores best on a quarter of the training blocks, learned from the others.

    ``learn`` predicts once an option. A choice at the end of ``options`` is noted under the name ``called`` where the
    score still rises by more than `END_MATTERS`.
    """
    if len(options) == 1:
        return options[0]
    random = np.random.default_rng([training.seed, 0xC0])
    names = random.permutation(np.unique(training.block))
    checked = np.isin(training.block, names[: max(1, len(names) // 4)])
    inner, outer = np.flatnonzero(~checked), np.flatnonzero(checked)
    if min(len(inner), len(outer)) < 10 or not varied(training.target[inner]):
        return options[len(options) // 2]
    found = learn(training.taken(inner), training.features[outer], options)
    sign = better(METRIC[training.kind])
    scores = [sign * score(training.kind, training.target[outer], one) for one in found]
    best = int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))
    beside = {0: 1, len(options) - 1: len(options) - 2}.get(best)
    if called and beside is not None and scores[best] - scores[beside] > END_MATTERS:
        training.notes.append(f"{called} {options[best]:g} {AT_THE_END}")
    return options[best]


def _one_by_one(
    learn: Callable[[Training, Features, Any], Array],
) -> Callable[[Training, Features, Sequence[Any]], Sequence[Array]]:
    return lambda training, tested, options: [learn(training, tested, option) for option in options]


def as_if_equally_common(scores: Array, training: Training) -> Array:
    """(m, K) class probabilities as they would be if every class of the training were equally common there.

    By Bayes' rule each is divided by its class's share of the training, and rows are brought to sum 1 again. A class
    that the training lacks keeps 0. Where the training is not `balanced`, scores are returned as they are.

    Source: M. Saerens et al., "Adjusting the outputs of a classifier to new a priori
    probabilities", Neural Computation 14, 2002, doi:10.1162/089976602753284446.
    """
    if not training.balanced:
        return scores
    share = training.columns().mean(axis=0)
    adjusted = np.divide(scores, share, out=np.zeros_like(scores), where=share > 0)
    return np.asarray(adjusted / adjusted.sum(axis=1, keepdims=True))


def class_scores(model: Any, tested: Features, training: Training) -> Array:
    """(m, K) probabilities of a fitted classifier of scikit-learn, 0 of classes that it did not see, `balanced`."""
    scores = np.zeros((len(tested), training.outputs))
    scores[:, model.classes_] = model.predict_proba(tested)
    return as_if_equally_common(scores, training)


# --- linear ------------------------------------------------------------------------------------------------


def linear(training: Training, tested: Features, effort: Effort) -> Array:
    """Logistic regression for classes; ridge regression for groups and values."""
    features, tested = standardized(training.features, tested)
    whole = replace(training, features=features)
    if training.kind == "classification":
        chosen = _choose(whole, effort.inverse_penalties, _one_by_one(_logistic), "inverse penalty")
        return _logistic(whole, tested, chosen)
    return _ridge(whole, tested, _choose(whole, RIDGE_ALPHAS, _one_by_one(_ridge), "penalty"))


def _logistic(training: Training, tested: Features, inverse_penalty: float) -> Array:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse_penalty, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():  # stopped early is close enough for a probe
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(training.features, training.target)
    return class_scores(model, tested, training)


def _ridge(training: Training, tested: Features, alpha: float) -> Array:
    weights, intercept = ridge.fitted(np.asarray(training.features, np.float64), training.columns(), alpha)
    return np.asarray(tested @ weights + intercept)


# --- neighbors and trees ----------------------------------------------------------------------------------


def nearest_neighbors(training: Training, tested: Features, effort: Effort) -> Array:
    """Mean of the k nearest training places, by Euclidean distance of standardized features."""
    features, tested = standardized(training.features, tested)
    return nearest(replace(training, features=features), tested, effort.neighbors, effort.votes)


def nearest(training: Training, tested: Features, ks: Sequence[int], votes: Sequence[Votes]) -> Array:
    """Mean of the nearest training places by Euclidean distance of features as they are, k and votes chosen inside."""
    many = len(training.features)
    fitting = [k for k in ks if k < many] or [many]
    options = [(k, vote) for vote in votes for k in fitting if k > 1 or vote == votes[0]]
    chosen = _choose(training, options, _neighbors)
    if len(fitting) > 1 and chosen[0] == ks[-1] < many - 1:
        training.notes.append(f"k = {chosen[0]:,} {AT_THE_END}")
    return _neighbors(training, tested, [chosen])[0]


def _neighbors(training: Training, tested: Features, options: Sequence[tuple[int, Votes]]) -> list[Array]:
    """(m, K) for each (k, votes): one search of neighbors for all k of a kind of votes."""
    given, asked = np.asarray(training.features, np.float64), np.asarray(tested, np.float64)
    found: dict[tuple[int, Votes], Array] = {}
    for vote in dict.fromkeys(vote for _, vote in options):
        ks = [k for k, one in options if one == vote]
        means = neighbor_means(given, training.columns(), asked, ks, votes=vote, tie=0.0)
        found |= {(k, vote): mean for k, mean in zip(ks, means, strict=True)}
    scores = [found[option] for option in options]
    return (
        [as_if_equally_common(one, training) for one in scores]
        if training.kind == "classification"
        else scores
    )


def forest(training: Training, tested: Features, effort: Effort) -> Array:
    """Random forest, its trees grown on at most `TREE_PLACES` places each; one forest for all groups of a task."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    jobs = 2 if len(training.features) > 1500 else 1
    places = min(TREE_PLACES, len(training.features))
    common = {
        "n_estimators": effort.trees,
        "n_jobs": jobs,
        "random_state": training.seed,
        "max_samples": places,
    }
    if training.kind == "classification":
        model = RandomForestClassifier(max_features="sqrt", **common)
        model.fit(training.features, training.target)
        return class_scores(model, tested, training)
    # the mean of 0/1 leaves is the share of yes, and halving variance halves Gini impurity
    model = RandomForestRegressor(max_features="sqrt", **common)
    columns = training.columns()
    model.fit(training.features, columns if columns.shape[1] > 1 else columns[:, 0])
    return np.asarray(model.predict(tested), np.float64).reshape(len(tested), -1)


# --- multilayer perceptron --------------------------------------------------------------------------------


def mlp(training: Training, tested: Features, effort: Effort) -> Array:
    """scikit-learn's perceptron of one hidden layer, by L-BFGS; its penalty is chosen inside the fold."""
    features, tested = standardized(training.features, tested)
    whole = replace(training, features=features)
    return _mlp(whole, tested, _choose(whole, effort.mlp_penalties, _one_by_one(_mlp), "penalty of the MLP"))


def _mlp(training: Training, tested: Features, penalty: float) -> Array:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    options: dict[str, Any] = {
        "hidden_layer_sizes": (MLP_UNITS,), "solver": "lbfgs", "alpha": penalty, "max_iter": MLP_STEPS,
        "random_state": training.seed,
    }  # fmt: skip
    with warnings.catch_warnings():  # stopped early is close enough for a probe
        warnings.simplefilter("ignore", ConvergenceWarning)
        if training.kind == "classification":
            model = MLPClassifier(**options).fit(training.features, training.target)
            return class_scores(model, tested, training)
        columns = training.columns()
        mean, spread = columns.mean(axis=0), np.maximum(columns.std(axis=0), 1e-9)
        scaled = (columns - mean) / spread
        model = MLPRegressor(**options).fit(
            training.features, scaled if scaled.shape[1] > 1 else scaled[:, 0]
        )
    found = np.asarray(model.predict(tested), np.float64).reshape(len(tested), -1)
    return np.asarray(found * spread + mean)


# --- retrieval ---------------------------------------------------------------------------------------------


def nearest_by_cosine(training: Training, tested: Features, effort: Effort) -> Array:
    """(m, RETRIEVED) classes of the training places with the most similar features, the nearest first."""
    given, asked = (np.asarray(one, np.float64) for one in (training.features, tested))
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in (given, asked)]
    given, asked = (
        one / np.where(length > 0, length, 1.0) for one, length in zip((given, asked), lengths, strict=True)
    )
    return _retrieved(training, given, asked)


def nearest_by_distance(training: Training, tested: Features, effort: Effort) -> Array:
    """As `nearest_by_cosine`, by Euclidean distance of standardized features."""
    return _retrieved(training, *standardized(training.features, tested))


def any_places(training: Training, tested: Features, effort: Effort) -> Array:
    """Classes of training places drawn at random: the precision of no knowledge."""
    random = np.random.default_rng([training.seed, len(tested), 0x0D])
    return training.target[random.integers(0, len(training.target), (len(tested), RETRIEVED))].astype(float)


def _retrieved(training: Training, given: Array, tested: Array) -> Array:
    from sklearn.neighbors import NearestNeighbors

    shuffled = np.random.default_rng([training.seed, 0x7E]).permutation(len(given))  # equals come in no order
    near = NearestNeighbors(n_neighbors=RETRIEVED).fit(given[shuffled]).kneighbors(tested)[1]
    return np.asarray(training.target[shuffled[near]], np.float64)


# --- chance ------------------------------------------------------------------------------------------------


def training_mean(training: Training, tested: Features, effort: Effort) -> Array:
    """The training's shares (so its commonest class) or mean, for every place alike."""
    return np.tile(training.columns().mean(axis=0), (len(tested), 1))


def stratified(training: Training, tested: Features, effort: Effort) -> Array:
    """The label of a training place drawn at random, for every place anew."""
    random = np.random.default_rng([training.seed, 0x57])
    return training.columns()[random.integers(0, len(training.target), len(tested))]


def random_order(training: Training, tested: Features, effort: Effort) -> Array:
    """Scores drawn at random: what average precision gives to no knowledge, which in few places is above the share."""
    return np.random.default_rng([training.seed, len(tested), 0x0D]).random((len(tested), training.outputs))


PROBES: dict[str, Probe] = {"linear": linear, "kNN": nearest_neighbors, "random forest": forest}
"""Every row of features takes the best of these, or of `RETRIEVAL` where places are retrieved."""
RETRIEVAL: dict[str, Probe] = {"cosine": nearest_by_cosine, "Euclidean": nearest_by_distance}
CHANCE: dict[Kind, dict[str, Probe]] = {
    "classification": {"most frequent": training_mean, "stratified": stratified},
    "multilabel": {"most frequent": training_mean, "random order": random_order},
    "regression": {"mean": training_mean},
    "presence": {"random order": random_order},
    "distribution": {"mean": training_mean},
    "retrieval": {"any places": any_places},
}
"""The row that sees no features, by the best of these."""
