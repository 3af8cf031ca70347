"""A smaller ensemble cut from a larger one predicts, bit by bit, as if it were fitted; columns are scored once."""

import joblib
import numpy as np
import pytest
from searching import assert_same, counted, shared, stock
from sklearn import ensemble, feature_selection
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from allcores.sklearn.sharing import keys
from allcores.sklearn.sharing.lease import Clock, Lease
from allcores.sklearn.sharing.memo import Memo
from allcores.sklearn.sharing.sizes import lend_sizes, size_parameter

X, y = make_classification(120, 8, n_informative=5, n_classes=3, random_state=1)
GRADIENT = ensemble.GradientBoostingClassifier
HISTOGRAM = ensemble.HistGradientBoostingClassifier

ENSEMBLES = [
    GRADIENT(random_state=0),
    GRADIENT(random_state=3, subsample=0.6, max_features=3, learning_rate=0.3),
    GRADIENT(random_state=0, init="zero", max_depth=None, max_leaf_nodes=5),
    ensemble.GradientBoostingRegressor(random_state=0, loss="huber", subsample=0.7),
    ensemble.GradientBoostingRegressor(random_state=0, loss="quantile"),
    HISTOGRAM(random_state=0, min_samples_leaf=3),
    HISTOGRAM(random_state=0, max_features=0.5, early_stopping=False),
    ensemble.HistGradientBoostingRegressor(random_state=0, loss="absolute_error"),
    ensemble.AdaBoostClassifier(random_state=0),
    ensemble.AdaBoostClassifier(DecisionTreeClassifier(max_depth=3, splitter="random"), random_state=0),
    ensemble.AdaBoostRegressor(random_state=0, loss="square"),
    ensemble.RandomForestClassifier(random_state=0, class_weight="balanced_subsample"),
    ensemble.RandomForestRegressor(random_state=0, max_samples=0.5),
    ensemble.ExtraTreesClassifier(random_state=0, bootstrap=True),
    ensemble.ExtraTreesRegressor(random_state=0, max_features=2),
    ensemble.BaggingClassifier(random_state=0, max_features=0.5),
    ensemble.BaggingClassifier(LogisticRegression(), random_state=0, bootstrap_features=True),
    ensemble.BaggingRegressor(random_state=0, bootstrap=False, max_samples=0.4),
]


def sized(estimator, size):
    return clone(estimator).set_params(**{size_parameter(type(estimator)): size})


def public(estimator):
    """What it learned, but for the members: their seeds are one generator, which has gone on."""
    learned = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    members = learned.pop("estimators_", ())
    return {name: joblib.hash(value) for name, value in learned.items()} | {"members": np.shape(members)}


@pytest.mark.parametrize("estimator", ENSEMBLES, ids=lambda each: type(each).__name__)
def test_a_smaller_ensemble_predicts_bit_by_bit_as_if_it_were_fitted(estimator, monkeypatch):
    memo = Memo()
    memo.learn(X)
    memo.learn(y)
    sizes = (12, 5, 1)
    fits = counted(monkeypatch, type(estimator), "fit")
    ours = [sized(estimator, size) for size in sizes]
    for mine in ours:
        lease = Lease(memo, Clock(), is_private=False)
        lend_sizes(mine, lease)
        mine.fit(X, y)
        lease.end()
    assert fits() == 1
    for mine, size in zip(ours, sizes, strict=True):
        other = sized(estimator, size).fit(X, y)
        for method in ("predict", "predict_proba", "decision_function"):
            if hasattr(other, method):
                assert getattr(mine, method)(X).tobytes() == getattr(other, method)(X).tobytes()
        assert public(mine) == public(other)


SCORERS = [
    "accuracy",
    "roc_auc_ovr",
    "neg_log_loss",
    "f1_macro",
    "neg_brier_score",
    "top_k_accuracy",
    "d2_brier_score",
]


@pytest.mark.parametrize("estimator", ENSEMBLES, ids=lambda each: type(each).__name__)
def test_a_search_over_sizes_fits_the_largest_alone(estimator, monkeypatch):
    sizes = {size_parameter(type(estimator)): [2, 7, 4]}
    scoring = SCORERS if is_classifier(estimator) else ["r2", "neg_mean_absolute_error", "neg_max_error"]
    made = GridSearchCV(estimator, sizes, cv=2, scoring=scoring, return_train_score=True, refit=False)
    expected = stock(made, X, y)
    fits = counted(monkeypatch, type(estimator), "fit")
    found = shared(made, X, y, workers=1)
    assert fits() == 2
    assert_same(expected, found)


def test_in_a_pipeline_sizes_are_shared_for_each_beginning(monkeypatch):
    made = GridSearchCV(
        make_pipeline(StandardScaler(), GRADIENT(random_state=0)),
        {
            "standardscaler__with_mean": [True, False],
            "gradientboostingclassifier__n_estimators": [1, 3, 2],
            "gradientboostingclassifier__learning_rate": [0.1, 0.2],
        },
        cv=2,
        refit=False,
    )
    expected = stock(made, X, y)
    fits = counted(monkeypatch, GRADIENT, "fit")
    assert_same(expected, shared(made, X, y, workers=1))
    assert fits() == 2 * 2 * 2


@pytest.mark.parametrize(
    "estimator",
    [
        GRADIENT(),
        GRADIENT(random_state=np.random.RandomState(0)),
        GRADIENT(random_state=0, n_iter_no_change=2),
        GRADIENT(random_state=0, warm_start=True),
        GRADIENT(random_state=0, init=LogisticRegression()),
        HISTOGRAM(random_state=0, early_stopping=True),
        ensemble.RandomForestClassifier(random_state=0, oob_score=True, warm_start=True),
        ensemble.ExtraTreesClassifier(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_looks_back_or_draws_is_fitted_for_each_size(estimator, monkeypatch):
    sizes = {size_parameter(type(estimator)): [20, 30, 40]}
    fits = counted(monkeypatch, type(estimator), "fit")
    shared(GridSearchCV(estimator, sizes, cv=2, refit=False), X, y, workers=1)
    assert fits() == 2 * 3


def test_automatic_early_stopping_depends_on_the_rows(monkeypatch):
    many_x, many_y = np.repeat(X, 170, axis=0), np.repeat(y, 170)
    made = GridSearchCV(HISTOGRAM(random_state=0), {"max_iter": [1, 2]}, cv=2, refit=False)
    fits = counted(monkeypatch, HISTOGRAM, "fit")
    shared(made, many_x, many_y, workers=1)
    assert fits() == 2 * 2


def test_an_ensemble_that_the_user_will_see_is_fitted_itself(monkeypatch):
    def seen(estimator, X, y):
        assert len(estimator.estimators_) == estimator.n_estimators
        return estimator.score(X, y)

    fits = counted(monkeypatch, GRADIENT, "fit")
    made = GridSearchCV(GRADIENT(random_state=0), {"n_estimators": [3, 2]}, cv=2, refit=False, scoring=seen)
    assert shared(made, X, y, workers=1).error is None
    assert fits() == 2 * 2


def test_invalid_sizes_fail_as_they_do_alone():
    made = GridSearchCV(GRADIENT(random_state=0), {"n_estimators": [3, 0, 2, 1.5, True]}, cv=2, refit=False)
    assert_same(stock(made, X, y), shared(made, X, y, workers=1))


def test_a_member_that_warns_keeps_sizes_apart():
    """The members of the larger one that come later may be the ones that warn."""
    made = GridSearchCV(
        ensemble.BaggingClassifier(LogisticRegression(max_iter=2), random_state=0),
        {"n_estimators": [3, 2]},
        cv=2,
    )
    expected, found = stock(made, X, y), shared(made, X, y, workers=1)
    assert_same(expected, found)
    assert len(expected.warned) > 2 * (3 + 2)


computed = []


def counting(X, y):
    computed.append(1)
    return feature_selection.f_classif(X, y)


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        (feature_selection.SelectKBest(), {"k": [1, 3, "all", 99, -1]}),
        (feature_selection.SelectPercentile(), {"percentile": [10, 50, 101]}),
        (feature_selection.SelectFdr(), {"alpha": [0.01, 0.5]}),
    ],
)
def test_scores_of_columns_are_computed_once(selector, values, monkeypatch):
    made = GridSearchCV(
        make_pipeline(StandardScaler(), selector, DecisionTreeClassifier(random_state=0)),
        {f"{type(selector).__name__.lower()}__{name}": value for name, value in values.items()},
        cv=2,
        refit=False,
    )
    expected = stock(made, X, y)
    computed.clear()
    monkeypatch.setattr(keys, "_scores_columns", lambda function: function is counting)
    made.estimator.steps[1][1].score_func = counting
    found = shared(made, X, y, workers=1)
    assert_same(expected, found)
    assert len(computed) == 2
