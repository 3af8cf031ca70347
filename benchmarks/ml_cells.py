"""The workloads of the scikit-learn benchmark, who runs them, and the least work that each of them is.

A cell makes its input, runs as a user would write it, and says what its distinct work is: each distinct prefix fitted
once a fold, each fold transformed once, the largest of nested sizes once, every last fit and score.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

N_JOBS = -1


class Cell(NamedTuple):
    """One workload.

    Attributes:
        name: for the command line.
        title: for the table.
        make: the input; an argument says whether it shall be small.
        run: the workload, with this input and number of jobs, or inside ``memory`` (a folder) where it can be.
        work: the distinct work; None: there is nothing to be shared, ``run`` with one job is it.
        memory: whether ``run`` takes a folder for scikit-learn's ``memory=``.
    """

    name: str
    title: str
    make: Callable[[bool], Any]
    run: Callable[..., Any]
    work: Callable[[Any], Any] | None = None
    memory: bool = False


# -- 1: cross_val_score -------------------------------------------------------------------------------------


def digits(small: bool) -> Any:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X[:400], y[:400], small) if small else (X, y, small)


def svc(data: Any, n_jobs: int | None) -> Any:
    from sklearn.model_selection import cross_val_score
    from sklearn.svm import SVC

    return cross_val_score(SVC(), data[0], data[1], cv=20, n_jobs=n_jobs)


def other(data: Any, n_jobs: int | None) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    return cross_val_score(LogisticRegression(max_iter=30), data[0], data[1], cv=20, n_jobs=n_jobs)


# -- 2: prefixes ---------------------------------------------------------------------------------------------


def pca_search(data: Any, n_jobs: int | None, memory: str | None = None) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    steps = [("scale", StandardScaler()), ("pca", PCA(random_state=0)), ("svc", SVC())]
    return _searched(
        GridSearchCV(Pipeline(steps, memory=memory), _pca_grid(data[2]), n_jobs=n_jobs, **SEARCH), data
    )


def _pca_grid(small: bool) -> dict[str, list[Any]]:
    few = 2 if small else 5
    return {
        "pca__n_components": [10, 20, 30],
        "svc__C": list(np.logspace(-1, 2, few)),
        "svc__gamma": list(np.logspace(-4, -2, few)),
    }


def pca_work(data: Any) -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    grid = _pca_grid(data[2])
    for X, y, X_test, y_test in _folds(data):
        scaler = StandardScaler()
        X, X_test = scaler.fit_transform(X), scaler.transform(X_test)
        for components in grid["pca__n_components"]:
            pca = PCA(components, random_state=0)
            Z, Z_test = pca.fit_transform(X), pca.transform(X_test)
            for C in grid["svc__C"]:
                for gamma in grid["svc__gamma"]:
                    SVC(C=C, gamma=gamma).fit(Z, y).score(Z_test, y_test)


def documents(small: bool) -> Any:
    """Texts of words by Zipf's law, in two classes that prefer other words."""
    draw = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(draw.choice(letters, draw.integers(2, 10))) for _ in range(5000)])
    count = 600 if small else 10_000
    y = draw.integers(0, 2, count)
    texts = []
    for label in y:
        ranks = np.minimum(draw.zipf(1.3, 60), len(words)) - 1
        shift = np.where(draw.random(60) < 0.1, 7 * label, 0)
        texts.append(" ".join(words[(ranks + shift) % len(words)]))
    return texts, y, small


def tfidf_search(data: Any, n_jobs: int | None, memory: str | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    steps = [
        ("tfidf", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))),
        ("model", LogisticRegression()),
    ]
    return _searched(
        GridSearchCV(Pipeline(steps, memory=memory), _tfidf_grid(data[2]), n_jobs=n_jobs, **SEARCH), data
    )


def _tfidf_grid(small: bool) -> dict[str, list[Any]]:
    return {"model__C": list(np.logspace(-2, 1, 4 if small else 12))}


def tfidf_work(data: Any) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    for X, y, X_test, y_test in _folds(data):
        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))
        Z, Z_test = vectors.fit_transform(X), vectors.transform(X_test)
        for C in _tfidf_grid(data[2])["model__C"]:
            LogisticRegression(C=C).fit(Z, y).score(Z_test, y_test)


def table(small: bool) -> Any:
    """100,000 rows: 5 columns of categories and 15 of numbers."""
    draw = np.random.default_rng(0)
    rows = 5_000 if small else 100_000
    X = np.hstack([draw.integers(0, 12, (rows, 5)).astype(float), draw.normal(size=(rows, 15))])
    y = (X[:, 5] + (X[:, 0] > 5) + draw.normal(size=rows) > 0.5).astype(int)
    return X, y, small


def _columns() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

    return ColumnTransformer(
        [
            ("codes", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), slice(0, 5)),
            ("scaled", StandardScaler(), slice(5, 15)),
            ("bins", KBinsDiscretizer(n_bins=8, encode="ordinal", random_state=0), slice(15, 20)),
        ]
    )


def _columns_grid(small: bool) -> list[dict[str, Any]]:
    from sklearn.model_selection import ParameterSampler

    space = {
        "learning_rate": [0.03, 0.1, 0.3],
        "max_leaf_nodes": [7, 15, 31],
        "l2_regularization": [0.0, 0.1, 1, 3, 9],
    }
    return list(ParameterSampler(space, 4 if small else 40, random_state=0))


def columns_search(data: Any, n_jobs: int | None, memory: str | None = None) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    model = HistGradientBoostingClassifier(max_iter=30, random_state=0)
    grid = [{f"model__{name}": [value] for name, value in each.items()} for each in _columns_grid(data[2])]
    pipeline = Pipeline([("columns", _columns()), ("model", model)], memory=memory)
    return _searched(GridSearchCV(pipeline, grid, n_jobs=n_jobs, **SEARCH), data)


def columns_work(data: Any) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    for X, y, X_test, y_test in _folds(data):
        columns = _columns()
        Z, Z_test = columns.fit_transform(X), columns.transform(X_test)
        for parameters in _columns_grid(data[2]):
            HistGradientBoostingClassifier(max_iter=30, random_state=0, **parameters).fit(Z, y).score(
                Z_test, y_test
            )


# -- 3: nested sizes ------------------------------------------------------------------------------------------


def cancer(small: bool) -> Any:
    from sklearn.datasets import load_breast_cancer

    return (*load_breast_cancer(return_X_y=True), small)


def _boosting_grid(small: bool) -> dict[str, list[Any]]:
    sizes = [10, 20, 40] if small else [50, 100, 200, 400]
    return {"n_estimators": sizes, "max_depth": [1, 2, 3], "learning_rate": [0.03, 0.1, 0.3]}


def boosting_search(data: Any, n_jobs: int | None) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.model_selection import GridSearchCV

    model = GradientBoostingClassifier(random_state=0)
    return _searched(GridSearchCV(model, _boosting_grid(data[2]), n_jobs=n_jobs, **{**SEARCH, "cv": 3}), data)


def boosting_work(data: Any) -> None:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import accuracy_score

    grid = _boosting_grid(data[2])
    for X, y, X_test, y_test in _folds(data, 3):
        for depth in grid["max_depth"]:
            for rate in grid["learning_rate"]:
                model = GradientBoostingClassifier(
                    n_estimators=max(grid["n_estimators"]),
                    max_depth=depth,
                    learning_rate=rate,
                    random_state=0,
                ).fit(X, y)
                for size, predicted in enumerate(model.staged_predict(X_test), 1):
                    if size in grid["n_estimators"]:
                        accuracy_score(y_test, predicted)


# -- 4: many short fits ----------------------------------------------------------------------------------------


def logistic_search(data: Any, n_jobs: int | None) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RandomizedSearchCV

    n_iter = 60 if data[2] else 1000
    space = {"C": list(np.logspace(-4, 2, n_iter))}
    model = LogisticRegression(max_iter=50)
    return _searched(
        RandomizedSearchCV(model, space, n_iter=n_iter, random_state=0, n_jobs=n_jobs, **SEARCH), data
    )


def tiny_search(data: Any, n_jobs: int | None) -> Any:
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import GaussianNB

    space = {"var_smoothing": list(np.logspace(-12, -1, 60 if data[2] else 1000))}
    return _searched(GridSearchCV(GaussianNB(), space, n_jobs=n_jobs, **SEARCH), data)


# -- 5: calls in calls, and other callers -----------------------------------------------------------------------


def nested(data: Any, n_jobs: int | None) -> Any:
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.svm import SVC

    inner = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [1e-4, 1e-3]}, cv=3, n_jobs=n_jobs)
    return cross_val_score(inner, data[0], data[1], cv=5, n_jobs=n_jobs)


def labels(small: bool) -> Any:
    from sklearn.datasets import make_multilabel_classification

    rows, columns, count = (500, 40, 10) if small else (10_000, 200, 100)
    X, y = make_multilabel_classification(rows, columns, n_classes=count, random_state=0)
    return X, y, small


def multioutput(data: Any, n_jobs: int | None) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier

    return (
        MultiOutputClassifier(LogisticRegression(max_iter=20), n_jobs=n_jobs).fit(*data[:2]).predict(data[0])
    )


def one_vs_rest(data: Any, n_jobs: int | None) -> Any:
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import SVC

    return OneVsRestClassifier(SVC(), n_jobs=n_jobs).fit(*data[:2]).decision_function(data[0][:100])


def bagging(data: Any, n_jobs: int | None) -> Any:
    from sklearn.ensemble import BaggingClassifier
    from sklearn.linear_model import LogisticRegression

    model = BaggingClassifier(LogisticRegression(max_iter=30), 20, random_state=0, n_jobs=n_jobs)
    return model.fit(*data[:2]).predict(data[0])  # probabilities are summed job by job, by every backend


# -- 6: guards ---------------------------------------------------------------------------------------------------


def many_rows(small: bool) -> Any:
    from sklearn.datasets import make_classification

    X, y = make_classification(2_000 if small else 50_000, 50, n_informative=20, random_state=0)
    return X, y, small


def forest(data: Any, n_jobs: int | None) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(50 if data[2] else 500, random_state=0, n_jobs=n_jobs)
    return model.fit(*data[:2]).predict_proba(data[0][:1000])


def wine(small: bool) -> Any:
    from sklearn.datasets import load_wine

    return (*load_wine(return_X_y=True), small)


def wine_scores(data: Any, n_jobs: int | None) -> Any:
    from sklearn.model_selection import cross_val_score
    from sklearn.svm import SVC

    return cross_val_score(SVC(), data[0], data[1], cv=5, n_jobs=n_jobs)


def halving(data: Any, n_jobs: int | None) -> Any:
    import sklearn.experimental.enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV
    from sklearn.svm import SVC

    space = {"C": list(np.logspace(-2, 2, 20)), "gamma": list(np.logspace(-5, -2, 20))}
    return _searched(HalvingRandomSearchCV(SVC(), space, random_state=0, n_jobs=n_jobs, **SEARCH), data)


# -- what they have in common --------------------------------------------------------------------------------------

SEARCH = {"cv": 5, "refit": False}


def _searched(search: Any, data: Any) -> Any:
    results = search.fit(data[0], data[1]).cv_results_
    return [np.asarray(value) for key, value in sorted(results.items()) if "_test_" in key]


def _folds(data: Any, cv: int = 5) -> Iterator[tuple[Any, Any, Any, Any]]:
    from sklearn.model_selection import StratifiedKFold

    X, y, _ = data
    for train, test in StratifiedKFold(cv).split(np.zeros(len(y)), y):
        if isinstance(X, list):
            yield [X[i] for i in train], y[train], [X[i] for i in test], y[test]
        else:
            yield X[train], y[train], X[test], y[test]


def digest(results: Any) -> str:
    """Bits of results, in short."""
    arrays = results if isinstance(results, list) else [results]
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()[:16]


CELLS = [
    Cell("svc", "cross_val_score(SVC), digits, cv=20", digits, svc),
    Cell("other", "cross_val_score(LogisticRegression), digits, cv=20", digits, other),
    Cell("pca", "scaler, PCA (3), SVC (25), digits", digits, pca_search, pca_work, True),
    Cell("tfidf", "Tf-idf, LogisticRegression (12), 10,000 texts", documents, tfidf_search, tfidf_work, True),
    Cell(
        "columns",
        "columns, HistGradientBoosting (40), 100,000 rows",
        table,
        columns_search,
        columns_work,
        True,
    ),
    Cell("boosting", "GradientBoosting, 4 sizes × 9, breast_cancer", cancer, boosting_search, boosting_work),
    Cell("logistic", "RandomizedSearchCV(LogisticRegression), 1000 × 5", cancer, logistic_search),
    Cell("tiny", "1000 × 5 fits of 1 ms", cancer, tiny_search),
    Cell("nested", "GridSearchCV in cross_val_score, digits", digits, nested),
    Cell("multioutput", "MultiOutputClassifier, 100 labels", labels, multioutput),
    Cell("onevsrest", "OneVsRestClassifier(SVC), digits", digits, one_vs_rest),
    Cell("bagging", "BaggingClassifier(LogisticRegression), digits", digits, bagging),
    Cell("forest", "RandomForest, 500 trees, 50,000 × 50", many_rows, forest),
    Cell("wine", "cross_val_score(SVC), wine, cv=5", wine, wine_scores),
    Cell("halving", "HalvingRandomSearchCV(SVC), digits", digits, halving),
]


# -- who runs them ---------------------------------------------------------------------------------------------------

RIVALS = ["serial", "loky", "threading", "memory", "dask"]
OURS = "allcores"


def suits(rival: str, cell: Cell) -> bool:
    """Whether a rival can run a cell."""
    return rival != "memory" or cell.memory


@contextlib.contextmanager
def opened(rival: str) -> Iterator[Callable[[Cell, Any], Any]]:
    """How a rival runs a cell; what it keeps from call to call is kept until the block is left."""
    import joblib

    if rival == "serial":
        yield lambda cell, data: cell.run(data, None)
    elif rival == "memory":  # of a call: a cache that is full already would have nothing to do
        shm = "/dev/shm" if os.path.isdir("/dev/shm") else None

        def cached(cell: Cell, data: Any) -> Any:
            with tempfile.TemporaryDirectory(dir=shm) as folder, joblib.parallel_config("loky"):
                return cell.run(data, N_JOBS, folder)

        yield cached
    elif rival == "dask":
        from distributed import Client

        with Client(n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address=None):
            yield lambda cell, data: _with_backend("dask", cell, data)
    else:
        if rival == OURS:
            import allcores.sklearn  # noqa: F401
        yield lambda cell, data: _with_backend(rival, cell, data)


def _with_backend(name: str, cell: Cell, data: Any) -> Any:
    import joblib

    with joblib.parallel_config(name):
        return cell.run(data, N_JOBS)
