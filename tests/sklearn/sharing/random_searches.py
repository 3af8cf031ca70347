"""Searches made at random: pipelines, grids, scorers, folds and data, with all that may go wrong with them."""

import math
import random
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import (
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    chi2,
    f_classif,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

try:
    import pandas
except ImportError:
    pandas = None

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "box",
]


class Scribbler(TransformerMixin, BaseEstimator):
    """A transformer of the user's that writes into its input."""

    def __init__(self, factor=2.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.mean_ = X.mean()
        return self

    def transform(self, X):
        X *= self.factor
        return X


class Vandal(ClassifierMixin, BaseEstimator):
    """A classifier of the user's that writes into everything that it is given."""

    def __init__(self, scale=1.0, fails=False):
        self.scale = scale
        self.fails = fails

    def fit(self, X, y):
        if self.fails:
            raise RuntimeError("as it was told to")
        self.classes_ = np.unique(y)
        self.weights_ = np.asarray(X.sum(axis=0)).ravel() * self.scale
        X *= 0
        y[:] = y[0]
        return self

    def predict(self, X):
        sums = np.asarray(X @ self.weights_).ravel()
        X *= 0
        return self.classes_[(sums > np.median(sums)).astype(int)]


def double(X):
    return X * 2


def own_metric(y_true, y_pred):
    score = float(np.mean(y_true == y_pred))
    y_true[:] = y_true[0]  # as users' code does
    return score


def own_scorer(estimator, X, y):
    steps = getattr(estimator, "steps", [("all", estimator)])
    before = estimator.predict(X)
    if isinstance(X, np.ndarray):
        X[:, 0] = X[::-1, 0]
    scores = {"plain": np.mean(before == y), "changed": np.mean(estimator.predict(X) == y)}
    for _, step in steps[:1]:
        if hasattr(step, "mean_") and isinstance(step.mean_, np.ndarray):
            step.mean_ += 1  # what it was given is its own
    return scores


def failing_scorer(estimator, X, y):
    if len(X if isinstance(X, list) else np.empty(X.shape[0])) % 2:
        raise ValueError("odd")
    return estimator.score(X, y)


class Search(NamedTuple):
    search: Any
    X: Any
    y: Any
    params: dict[str, Any]
    workers: int


def random_search(seed: int) -> Search:
    chance = random.Random(seed)
    rng = np.random.default_rng(seed)
    rows = chance.choice([30, 41, 60])
    y = rng.integers(0, chance.choice([2, 2, 3]), rows)
    y[:6] = [0, 1, 0, 1, 0, 1]
    kind = chance.choice(["dense", "dense", "columns", "sparse", "text", *(["frame"] if pandas else [])])
    X = data(kind, rng, rows, y)
    steps, grid = [], {}
    for step, parameters in chain(kind, chance):
        name = f"s{len(steps)}"
        steps.append((name, step))
        for parameter, values in parameters.items():
            if chance.random() < 0.6:
                grid[f"{name}__{parameter}"] = chance.sample(
                    values, min(len(values), chance.choice([2, 2, 3]))
                )
    if len(steps) > 1 and chance.random() < 0.2 and kind in ("dense", "sparse"):
        grid = {each: values for each, values in grid.items() if not each.startswith("s0__")}
        grid["s0"] = ["passthrough", MaxAbsScaler(), None]
    final, parameters = last(chance, kind)
    steps.append(("final", final))
    for parameter, values in parameters.items():
        if chance.random() < 0.8:
            grid[f"final__{parameter}"] = values
    estimator: Any = Pipeline(steps)
    if chance.random() < 0.15 and kind in ("dense", "sparse"):
        estimator = final
        grid = {
            each.removeprefix("final__"): values
            for each, values in grid.items()
            if each.startswith("final__")
        }
    while math.prod(map(len, grid.values())) > 8:
        del grid[chance.choice(list(grid))]
    grids = [grid, {each: values[:1] for each, values in grid.items()}] if chance.random() < 0.2 else grid
    search = GridSearchCV(
        estimator,
        grids,
        scoring=scoring(chance),
        cv=chance.choice([2, 3, KFold(3), StratifiedKFold(2), ShuffleSplit(2, random_state=seed)]),
        error_score=chance.choice([np.nan, np.nan, np.nan, 0.0, "raise"]),
        return_train_score=chance.random() < 0.5,
        refit=False,
    )
    params = {}
    if isinstance(estimator, Pipeline) and hasattr(final, "class_weight") and chance.random() < 0.2:
        params["final__sample_weight"] = rng.random(rows)
    if isinstance(estimator, Pipeline) and type(steps[0][1]) is StandardScaler and chance.random() < 0.3:
        params["s0__sample_weight"] = rng.random(rows)
    return Search(search, X, y, params, chance.choice([1, 2, 3, 8]))


def data(kind, rng, rows, y):
    if kind == "text":
        return [" ".join(rng.choice(WORDS[label:], 8)) for label in y]
    X = rng.normal(size=(rows, 9)) + y[:, None] * 0.5
    if kind == "sparse":
        return sparse.csr_matrix(np.where(X > 0.4, X, 0.0))
    if kind in ("columns", "frame"):
        X[:, 6:] = rng.integers(0, 4, (rows, 3))
        X[rng.integers(0, rows, 5), 0] = np.nan
    return pandas.DataFrame(X, columns=list("abcdefghi")) if kind == "frame" else X


def chain(kind, chance):
    """Steps before the last, each with parameters worth a search."""
    if kind == "text":
        yield chance.choice(
            [
                (TfidfVectorizer(), {"ngram_range": [(1, 1), (1, 2)], "sublinear_tf": [True, False]}),
                (CountVectorizer(), {"binary": [True, False], "min_df": [1, 2, 1000]}),
                (TfidfVectorizer(preprocessor=str.lower), {"min_df": [1, 2]}),
            ]
        )
        if chance.random() < 0.4:
            yield TfidfTransformer(), {"norm": ["l1", "l2"]}
        if chance.random() < 0.5:
            yield SelectKBest(chi2), {"k": [3, 5, 7, "all"]}
        return
    if kind in ("columns", "frame"):
        yield columns(kind, chance)
    for _ in range(chance.choice([0, 1, 1, 2, 3]) if kind != "columns" else chance.choice([0, 1])):
        yield chance.choice(SPARSE if kind == "sparse" else DENSE)()


def columns(kind, chance):
    first = ["a", "b", "c"] if kind == "frame" else slice(0, 3)
    numbers = Pipeline(
        [("impute", SimpleImputer()), ("scale", chance.choice([StandardScaler(), MinMaxScaler()]))]
    )
    others = make_column_selector("[gh]") if kind == "frame" else [6, 7]
    unknown = chance.choice(["ignore", "error", "ignore"])
    categories = OneHotEncoder(handle_unknown=unknown, sparse_output=kind != "frame")
    bins = KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")
    if kind == "frame":
        bins.set_params(encode="onehot-dense")
    parts = [("numbers", numbers, first), ("bins", bins, ["d"] if kind == "frame" else [3])]
    if chance.random() < 0.7:
        parts.append(("categories", categories, others))
    whole = ColumnTransformer(parts, remainder=chance.choice(["drop", "passthrough", StandardScaler()]))
    if kind == "frame":
        whole.set_output(transform=chance.choice(["default", "pandas"]))
    return whole, {
        "numbers__impute__strategy": ["mean", "median", "nonsense"],
        "bins__n_bins": [2, 3, 40],
        "numbers__scale": [StandardScaler(), "passthrough"],
        "sparse_threshold": [0.0, 1.0],
    }


def union(chance=None):
    parts = [("pca", PCA(2, random_state=0)), ("best", SelectKBest(k=3)), ("same", "passthrough")]
    return FeatureUnion(parts), {
        "pca__n_components": [1, 2, 3],
        "best__k": [1, 2, 4],
        "same": ["passthrough", "drop"],
    }


DENSE = [
    lambda: (StandardScaler(), {"with_mean": [True, False], "with_std": [True, False]}),
    lambda: (StandardScaler(copy=False), {"with_mean": [True, False]}),
    lambda: (MinMaxScaler(), {"feature_range": [(0, 1), (0, 2)]}),
    lambda: (PCA(random_state=0), {"n_components": [1, 2, 3, 500]}),
    lambda: (PCA(), {"n_components": [1, 2], "svd_solver": ["full", "auto"]}),
    lambda: (KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), {"n_bins": [2, 3, 40]}),
    lambda: (PolynomialFeatures(1), {"include_bias": [True, False]}),
    lambda: (SelectKBest(f_classif), {"k": [1, 2, 3, -4]}),
    lambda: (SelectPercentile(), {"percentile": [30, 60, 100]}),
    lambda: (SelectFromModel(LogisticRegression()), {"threshold": [0.05, 0.1], "estimator__C": [0.5, 1.0]}),
    lambda: (VarianceThreshold(), {"threshold": [0.0, 0.1, 1e9]}),
    lambda: (Normalizer(), {"norm": ["l1", "l2"]}),
    lambda: (Scribbler(), {"factor": [1.0, 2.0]}),
    lambda: (FunctionTransformer(double), {"validate": [True, False]}),
    lambda: ("passthrough", {}),
    lambda: (
        Pipeline([("scale", StandardScaler()), ("pca", PCA(2, random_state=0))]),
        {"pca__n_components": [1, 2]},
    ),
    union,
]
SPARSE = [
    lambda: (MaxAbsScaler(), {}),
    lambda: (StandardScaler(with_mean=False), {"with_std": [True, False], "with_mean": [False, True]}),
    lambda: (TruncatedSVD(2, random_state=0), {"n_components": [1, 2, 3]}),
    lambda: (SelectKBest(), {"k": [2, 3, 5]}),
    lambda: (Normalizer(), {"norm": ["l1", "l2"]}),
]


def last(chance, kind):
    """A final estimator and parameters worth a search."""
    dense = [(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]})] if kind not in ("sparse", "text") else []
    return chance.choice(
        [
            *dense,
            (LogisticRegression(), {"C": [0.1, 1.0], "max_iter": [2, 100]}),
            (SVC(), {"C": [0.1, 1.0, -1.0], "kernel": ["linear", "rbf"]}),
            (LinearSVC(random_state=0), {"C": [0.1, 1.0]}),
            (RidgeClassifier(), {"alpha": [0.1, 1.0]}),
            (KNeighborsClassifier(), {"n_neighbors": [1, 3, 1000]}),
            (DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}),
            (
                GradientBoostingClassifier(random_state=0, n_estimators=3),
                {"n_estimators": [1, 4, 2, 0], "subsample": [1.0, 0.7]},
            ),
            (
                HistGradientBoostingClassifier(random_state=0, max_iter=2, min_samples_leaf=3),
                {"max_iter": [1, 5, 3]},
            ),
            (
                AdaBoostClassifier(random_state=0, n_estimators=3),
                {"n_estimators": [3, 1, 5], "learning_rate": [0.5, 1.0]},
            ),
            (
                RandomForestClassifier(random_state=0, n_estimators=3),
                {"n_estimators": [3, 1, 5], "max_depth": [1, 3]},
            ),
            (
                ExtraTreesClassifier(random_state=0, n_estimators=3),
                {"n_estimators": [3, 1, 5], "oob_score": [False, True]},
            ),
            (
                BaggingClassifier(random_state=0, n_estimators=3),
                {"n_estimators": [3, 1, 5], "max_features": [0.5, 1.0]},
            ),
            (Vandal(), {"scale": [1.0, -1.0], "fails": [True, False]}),
        ]
    )


def scoring(chance):
    return chance.choice(
        [
            None,
            "accuracy",
            "accuracy",
            ["accuracy", "balanced_accuracy"],
            {"f1": "f1_macro", "own": make_scorer(own_metric)},
            "neg_log_loss",
            "roc_auc",
            make_scorer(own_metric),
            own_scorer,
            failing_scorer,
        ]
    )
