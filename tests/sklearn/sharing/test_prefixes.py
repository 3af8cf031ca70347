"""Steps before the last are fitted once a fold, and each fold is transformed once; what the user sees is his alone."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from random_searches import WORDS, Scribbler, Vandal
from scipy import sparse
from searching import assert_same, counted, fit_call, shared, stock
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._validation import _fit_and_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from allcores.sklearn.sharing import units
from allcores.sklearn.sharing.keys import has_key

X, y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
DEPTHS = {"tree__max_depth": [1, 2, 3, 4]}
FOLDS = 3


def search(*steps, grid, **options):
    options = {"cv": FOLDS, "refit": False, **options}
    return GridSearchCV(Pipeline([*steps, ("tree", TREE)]), grid, **options)


def both(made, data=X, **params):
    """The search as stock and with units for one worker, so that no fold is cut; asserts that they agree."""
    expected, found = stock(made, data, y, **params), shared(made, data, y, workers=1, **params)
    assert_same(expected, found)
    return found


@pytest.fixture
def count(monkeypatch):
    """Count the calls of methods; between two readings, those of the search with units alone."""

    def counting(kind, *names):
        counts = [counted(monkeypatch, kind, name) for name in names]
        return lambda: tuple(each() for each in counts)

    return counting


def test_a_step_is_fitted_once_a_fold_and_transforms_each_part_once(count):
    made = search(("scale", StandardScaler()), grid=DEPTHS, return_train_score=True)
    calls = count(StandardScaler, "fit", "transform")
    stock(made, X, y)
    assert calls() == (4 * FOLDS, 3 * 4 * FOLDS)
    shared(made, X, y, workers=1)
    # once to fit and transform; once for the test part; the training part is transformed again to be scored
    assert np.subtract(calls(), (4 * FOLDS, 3 * 4 * FOLDS)).tolist() == [FOLDS, 3 * FOLDS]
    both(made)


def test_steps_form_a_trie(count):
    made = search(
        ("scale", StandardScaler()),
        ("pca", PCA(random_state=0)),
        grid={"pca__n_components": [1, 2], **DEPTHS},
    )
    scaled, reduced = count(StandardScaler, "fit"), count(PCA, "fit_transform")
    shared(made, X, y, workers=1)
    assert (scaled(), reduced()) == ((FOLDS,), (2 * FOLDS,))
    both(made)


def test_candidates_may_replace_a_step(count):
    made = search(
        ("first", StandardScaler()),
        ("scale", StandardScaler()),
        grid={"scale": [StandardScaler(), MinMaxScaler(), "passthrough"], **DEPTHS},
    )
    calls = count(StandardScaler, "fit")
    shared(made, X, y, workers=1)
    assert calls() == (2 * FOLDS,)
    both(made)


def test_parts_of_a_column_transformer_are_shared_where_another_part_differs(count):
    columns = ColumnTransformer(
        [
            ("scaled", make_pipeline(StandardScaler(), PCA(1, random_state=0)), [0, 1]),
            ("bins", KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), [2]),
        ],
        remainder=MinMaxScaler(),
    )
    made = search(("columns", columns), grid={"columns__bins__n_bins": [2, 3], **DEPTHS})
    kinds = (StandardScaler, KBinsDiscretizer, MinMaxScaler, PCA)
    calls = [count(kind, "fit", "transform") for kind in kinds[:3]]
    shared(made, X, y, workers=1)
    fits = [fits for each in calls for fits, _ in [each()]]
    assert fits == [FOLDS, 2 * FOLDS, FOLDS]
    assert [transforms for each in calls for _, transforms in [each()]] == [2 * FOLDS, 4 * FOLDS, 2 * FOLDS]
    both(made)


def test_equal_parts_of_different_columns_are_not_the_same():
    parts = [("first", StandardScaler(), [0]), ("second", StandardScaler(), [2, 3])]
    both(
        search(
            ("columns", ColumnTransformer(parts, remainder=StandardScaler())),
            grid=DEPTHS,
            scoring="neg_log_loss",
        )
    )


def test_a_warning_that_points_at_whoever_called_points_where_it_does_with_scikit_learn(monkeypatch):
    fit = MinMaxScaler.fit_transform

    def warning(self, X, y=None):
        warnings.warn("look there", stacklevel=2)
        return fit(self, X, y)

    monkeypatch.setattr(MinMaxScaler, "fit_transform", warning)
    found = both(search(("scale", MinMaxScaler()), grid=DEPTHS))
    assert {filename.rpartition("/")[2] for _, message, filename, _ in found.warned} == {"pipeline.py"}


def test_parts_of_a_feature_union_are_shared_where_another_part_differs(count):
    union = FeatureUnion([("scaled", StandardScaler()), ("pca", PCA(random_state=0))])
    made = search(("union", union), grid={"union__pca__n_components": [1, 2], **DEPTHS})
    calls = count(StandardScaler, "fit")
    shared(made, X, y, workers=1)
    assert calls() == (FOLDS,)
    both(made)


def test_what_follows_a_composition_is_shared_too(count):
    inner = make_pipeline(ColumnTransformer([("scaled", StandardScaler(), [0, 1])], remainder="passthrough"))
    made = search(("inner", inner), ("pca", PCA(2, random_state=0)), grid=DEPTHS)
    calls = count(PCA, "fit_transform")
    shared(made, X, y, workers=1)
    assert calls() == (FOLDS,)
    both(made)


def test_text_is_read_once_a_fold(count):
    texts = ["the quick brown fox " * (1 + label) + str(label) for label in y]
    made = search(("text", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))), grid=DEPTHS)
    calls = count(TfidfVectorizer, "fit_transform", "transform")
    shared(made, texts, y, workers=1)
    assert calls() == (FOLDS, FOLDS)
    both(made, texts)


def test_what_a_vectorizer_makes_is_put_in_order_for_one_candidate_only():
    """Its indices are in the order of the text; SVC sorts them in place, and LogisticRegression sums as they come."""
    texts = [" ".join(WORDS[(7 * row + 3 * step) % 12] for step in range(9)) for row in range(len(y))]
    text = TfidfVectorizer(ngram_range=(1, 2))
    assert not text.fit_transform(texts).has_canonical_format
    finals = [SVC(kernel="linear"), LogisticRegression(), SVC(), LogisticRegression(C=0.1)]
    grid = {"tree": finals, "text__sublinear_tf": [False, True]}
    both(search(("text", text), grid=grid, return_train_score=True, scoring="neg_log_loss"), texts)


def test_parts_of_a_union_see_what_the_part_before_them_put_in_order():
    """The first sorts the indices, so that the second sums in another order."""
    texts = [" ".join(WORDS[(7 * row + 3 * step) % 12] for step in range(9)) for row in range(len(y))]
    union = FeatureUnion(
        [("pick", SelectFromModel(SVC(kernel="linear"))), ("svd", TruncatedSVD(3, random_state=0))]
    )
    text = TfidfVectorizer(ngram_range=(1, 2))
    final = search(
        ("text", text), ("union", union), grid={"union__svd__n_iter": [3, 5], "tree__C": [1e3, 1e5]}
    )
    final.estimator.steps[-1] = ("tree", LogisticRegression(max_iter=500))
    both(final.set_params(scoring="neg_log_loss", return_train_score=True), texts)


def test_a_third_partys_last_step_shares_what_comes_before_and_gets_copies(count):
    made = GridSearchCV(
        make_pipeline(StandardScaler(), Vandal()),
        {"vandal__scale": [1.0, -1.0, 2.0]},
        cv=FOLDS,
        refit=False,
        return_train_score=True,
    )
    calls = count(StandardScaler, "fit")
    shared(made, X, y, workers=1)
    assert calls() == (FOLDS,)
    both(made)


@pytest.mark.parametrize(
    "step",
    [
        Scribbler(),
        FunctionTransformer(np.abs),
        TruncatedSVD(2),
        StandardScaler(copy=False),
        Pipeline([("scale", StandardScaler())], memory="nowhere"),
        Pipeline([("scale", StandardScaler())], verbose=True),
        TruncatedSVD(2, random_state=np.random.RandomState(0)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_that_might_not_be_the_same_are_fitted_for_each_candidate(step, count, tmp_path, capsys):
    if getattr(step, "memory", None):
        step = clone(step).set_params(memory=str(tmp_path))
    calls = count(type(step), "fit_transform")
    shared(search(("step", step), grid=DEPTHS), X, y, workers=1)
    assert calls() == (4 * FOLDS,)


class Own(StandardScaler):
    pass


def test_a_subclass_is_not_what_it_derives_from(count):
    assert not has_key(type("StandardScaler", (StandardScaler,), {"__module__": StandardScaler.__module__})())
    calls = count(Own, "fit")
    shared(search(("step", Own()), grid=DEPTHS), X, y, workers=1)
    assert calls() == (4 * FOLDS,)


def test_an_unseeded_pca_is_shared_where_it_draws_nothing(count):
    made = search(("pca", PCA(2)), grid=DEPTHS)
    calls = count(PCA, "fit_transform")
    shared(made, X, y, workers=1)
    assert calls() == (FOLDS,)  # 4 columns: by the covariance
    wide = np.random.default_rng(0).normal(size=(150, 600))
    shared(made, wide, y, workers=1)
    assert calls() == (FOLDS + 4 * FOLDS,)


def test_sample_weight_for_a_step_keeps_it_from_being_shared(count):
    made = search(("scale", StandardScaler()), ("pca", PCA(2)), grid=DEPTHS)
    weight = np.random.default_rng(0).random(len(y))
    calls = count(StandardScaler, "fit")
    shared(made, X, y, workers=1, scale__sample_weight=weight)
    assert calls() == (4 * FOLDS,)
    both(made, scale__sample_weight=weight)
    both(made, tree__sample_weight=weight)


def test_warnings_of_a_shared_fit_are_shown_for_each_candidate():
    bins = KBinsDiscretizer(100, quantile_method="averaged_inverted_cdf")
    found = both(search(("bins", bins), grid=DEPTHS))
    assert sum("Bins whose width are too small" in message for _, message, *_ in found.warned) >= 4 * FOLDS


def test_warnings_made_errors_are_errors_of_each_candidate():
    bins = KBinsDiscretizer(100, quantile_method="averaged_inverted_cdf")
    found = both(search(("bins", bins), grid=DEPTHS), strict="Bins whose")
    assert "All the 12 fits failed" in str(found.error)


def test_a_failing_step_fails_for_each_candidate_with_scikit_learns_traceback(count):
    made = search(("pca", PCA(50, random_state=0)), grid={"pca__n_components": [50, 2], **DEPTHS})
    calls = count(PCA, "fit_transform")
    found = both(made)
    assert np.isnan(found.results["mean_test_score"]).sum() == 4
    assert any(
        "12 fits failed" in message and "n_components=50" in message for _, message, *_ in found.warned
    )
    assert calls() == (
        8 * FOLDS + 2 * FOLDS + 4 * FOLDS,
    )  # stock; once with us; once more for each that failed


def test_a_step_that_cannot_transform_the_test_part_fails_the_score():
    codes = np.column_stack([np.arange(len(y)), X[:, 0]])
    made = search(("codes", OneHotEncoder()), grid=DEPTHS)
    found = both(made, codes)
    assert any("Scoring failed" in message for _, message, *_ in found.warned)


def test_with_error_score_raise_the_error_is_raised():
    made = search(("pca", PCA(50, random_state=0)), grid=DEPTHS, error_score="raise")
    assert "n_components=50" in str(both(made).error)


def test_sparse_input_that_is_not_in_order_is_nobody_elses():
    matrix = sparse.csr_matrix(np.where(X > 1, X, 0))
    for row in range(matrix.shape[0]):  # the same entries, last column first
        part = slice(*matrix.indptr[row : row + 2])
        matrix.indices[part] = matrix.indices[part][::-1]
        matrix.data[part] = matrix.data[part][::-1]
    matrix.has_sorted_indices = matrix.has_canonical_format = False
    made = GridSearchCV(
        make_pipeline(StandardScaler(with_mean=False), SVC()), {"svc__C": [0.1, 1.0]}, cv=FOLDS
    )
    both(made, matrix)


def traces(estimator):
    """Names that sharing leaves on an estimator or on one of its parts."""
    parts = [estimator, *(each for each in estimator.get_params().values() if hasattr(each, "get_params"))]
    parts += [each for part in parts for _, each, *_ in getattr(part, "transformers_", [])]
    borrowed = {"fit", "fit_transform", "transform", "__sklearn_clone__"}
    return [part for part in parts if not isinstance(part, str) and borrowed & vars(part).keys()]


def fitted(thing):
    """What an estimator and its parts hold, attribute by attribute, whatever these have in common."""
    if hasattr(thing, "get_params"):
        return type(thing), {name: fitted(value) for name, value in vars(thing).items()}
    if isinstance(thing, (list, tuple)):
        return [fitted(each) for each in thing]
    return joblib.hash(thing)


def composed():
    columns = ColumnTransformer([("scaled", StandardScaler(), [0, 1])], remainder=MinMaxScaler())
    return Pipeline([("columns", columns), ("scale", StandardScaler()), ("tree", TREE)])


def test_a_scorer_of_the_users_sees_a_pipeline_as_scikit_learn_fits_it():
    def scorer(estimator, X, y):
        assert traces(estimator) == []
        again = pickle.loads(pickle.dumps(estimator))
        clone(estimator).fit(X, y)
        estimator.named_steps["scale"].mean_ += 1.0  # it may do what it likes
        estimator.named_steps["columns"].transformers_[0][1].scale_ *= 2.0
        X[:] = X[::-1]
        return again.score(X, y)

    made = GridSearchCV(composed(), DEPTHS, cv=FOLDS, refit=False, scoring=scorer, return_train_score=True)
    both(made)


def test_returned_estimators_bear_no_trace_and_have_nothing_in_common():
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)

    def calls():
        for neighbours in (1, 2, 3):
            final = KNeighborsClassifier(neighbours, algorithm="brute")  # it keeps what it is fitted to
            work = {"train": train, "test": test, "parameters": {"tree": final}}
            work |= {"scorer": get_scorer("accuracy"), "fit_params": None, "score_params": None}
            yield fit_call(clone(composed()), X, y, **work, verbose=0, return_estimator=True)

    (unit,) = units(list(calls()), workers=1)
    ours = [result["estimator"] for result in unit.run(X, y)]
    theirs = [call.run(_fit_and_score, X, y)["estimator"] for call in calls()]
    for mine, other in zip(ours, theirs, strict=True):
        assert traces(mine) == []
        assert fitted(mine) == fitted(other)
    parts = [
        lambda each: each[1].mean_,
        lambda each: each[0].transformers_[0][1].mean_,
        lambda each: each[2]._fit_X,
    ]
    for part in parts:
        first, second, third = map(part, ours)
        assert not np.shares_memory(first, second)
        assert not np.shares_memory(second, third)
