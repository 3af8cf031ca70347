"""How calls become units: every call once, folds first, enough of them for all workers, and no more."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import assert_same, counted, fit_call, shared, sharing_parallel, stock
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from allcores.sklearn import compat
from allcores.sklearn.sharing import lease, units
from allcores.sklearn.sharing.memo import Entry, Memo
from allcores.sklearn.sharing.places import is_alike

X, y = load_iris(return_X_y=True)
PIPELINE = make_pipeline(StandardScaler(), PCA(random_state=0), SVC())
GRID = {"pca__n_components": [1, 2, 3], "svc__C": [0.1, 1.0, 10.0]}


def calls_of(estimator, grid, folds=3, **options):
    splits = list(KFold(folds).split(X))
    scorer = options.pop("scorer", get_scorer("accuracy"))
    work = {"scorer": scorer, "fit_params": None, "score_params": None, "verbose": 0, **options}
    return [
        fit_call(clone(estimator), X, y, train=train, test=test, parameters=parameters, **work)
        for parameters in ParameterGrid(grid)
        for train, test in splits
    ]


def fold_of(call):
    return id(call.train)


@given(
    folds=st.integers(2, 7),
    components=st.integers(1, 3),
    candidates=st.integers(1, 12),
    workers=st.integers(1, 40),
)
@settings(max_examples=40, deadline=None)
def test_every_call_is_in_one_unit_and_a_unit_has_one_fold(folds, components, candidates, workers):
    grid = {
        "pca__n_components": list(range(1, components + 1)),
        "svc__C": [0.1 * (1 + n) for n in range(candidates)],
    }
    calls = calls_of(PIPELINE, grid, folds)
    made = units(calls, workers=workers)
    assert sorted(index for unit in made for index in unit.indices) == list(range(len(calls)))
    assert all(len({fold_of(calls[index]) for index in unit.indices}) == 1 for unit in made)
    rounds = -(-len(calls) // workers)
    alone = min(units([call], workers=1)[0].cost for call in calls)
    as_early = max(unit.cost for unit in made) <= rounds * alone  # as if every call ran by itself
    assert len(made) >= min(workers, folds * components) or as_early
    costs = [unit.cost for unit in made]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(("folds", "workers"), [(5, 2), (5, 4), (3, 8), (10, 4), (2, 3)])
def test_no_worker_idles_for_long_because_units_are_big(folds, workers):
    """Each takes the longest unit that is left; folds that would come last are cut."""
    made = units(calls_of(PIPELINE, {"svc__C": list(np.linspace(0.1, 3, 24))}, folds), workers=workers)
    ends = [0.0] * workers
    for unit in made:
        ends[ends.index(min(ends))] += unit.cost
    assert max(ends) <= 1.3 * sum(ends) / workers


def test_folds_are_whole_where_there_are_many():
    made = units(calls_of(PIPELINE, {"svc__C": [0.1, 1.0, 10.0]}, folds=16), workers=2)
    assert [len(unit.indices) for unit in made] == [3] * 16


def test_calls_with_nothing_in_common_are_cut_for_balance():
    made = units(calls_of(LogisticRegression(), {"C": list(np.linspace(0.1, 1, 100))}), workers=2)
    assert 60 <= len(made) <= 70
    assert {unit.description for unit in made} == {""}


def test_descriptions_say_what_is_shared():
    (unit, *_) = units(calls_of(PIPELINE, GRID), workers=1)
    assert unit.description == "fitted once: standardscaler, pca"
    boosting = GradientBoostingClassifier(random_state=0)
    (unit, *_) = units(calls_of(boosting, {"n_estimators": [5, 20]}), workers=1)
    assert unit.description == "cut from ensembles of 20"
    (unit, *_) = units(calls_of(SVC(), [{"C": [1.0]}, {"C": [1.0]}]), workers=1)
    assert unit.description == "1 equal to others"
    assert "equal" in repr(unit)


def test_units_travel_without_the_data():
    big = np.zeros((150, 5000))
    calls = [call._replace(X=big) for call in calls_of(PIPELINE, GRID)]
    assert len(pickle.dumps(units(calls, workers=2))) < 100_000


class Own(ClassifierMixin, BaseEstimator):
    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_an_estimator_of_the_users_runs_plainly():
    made = GridSearchCV(Own(), {"power": [1, 2, 1]}, cv=3)
    assert_same(stock(made, X, y), shared(made, X, y))


def test_equal_calls_are_made_once(monkeypatch):
    grid = [{"max_depth": [1, 2]}, {"max_depth": [2, 3]}]
    made = GridSearchCV(
        DecisionTreeClassifier(random_state=0), grid, cv=3, refit=False, scoring=["accuracy", "f1_macro"]
    )
    expected = stock(made, X, y)
    fits = counted(monkeypatch, DecisionTreeClassifier, "fit")
    assert_same(expected, shared(made, X, y))
    assert fits() == 3 * 3


def test_clones_are_recognised_by_what_they_hold():
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), slice(0, 2))], transformer_weights={"scaled": 2.0}
    )
    tree = DecisionTreeClassifier(class_weight={0: 1.0, 1: 2.0, 2: 1.0}, random_state=0)
    calls = calls_of(make_pipeline(columns, tree), {"decisiontreeclassifier__max_depth": [1, 2, 3]})
    assert len(units(calls, workers=1)) == 3
    assert is_alike(clone(columns), columns)
    assert not is_alike(clone(columns).set_params(scaled__with_std=False), columns)
    assert not is_alike(tree, clone(tree).set_params(class_weight=None))


def test_equal_calls_warn_each():
    made = GridSearchCV(LogisticRegression(), [{"max_iter": [1]}, {"max_iter": [1]}], cv=3, refit=False)
    expected, found = stock(made, X, y), shared(made, X, y)
    assert_same(expected, found)
    assert len(found.warned) == 2 * 3


def accuracy(y_true, y_pred):
    return np.mean(y_true == y_pred)


@pytest.mark.parametrize(
    ("estimator", "scoring"),
    [
        (DecisionTreeClassifier(), "accuracy"),
        (DecisionTreeClassifier(random_state=0), make_scorer(accuracy)),
    ],
)
def test_equal_calls_that_may_come_to_different_things_are_made_each(estimator, scoring, monkeypatch):
    fits = counted(monkeypatch, DecisionTreeClassifier, "fit")
    shared(GridSearchCV(estimator, [{"max_depth": [2]}] * 2, cv=3, refit=False, scoring=scoring), X, y)
    assert fits() == 2 * 3


def test_of_failing_calls_the_first_in_the_callers_order_is_raised():
    grid = {"pca__n_components": [2, 50, 99], "svc__C": [1.0, -1.0]}
    calls = calls_of(PIPELINE, grid, folds=2, error_score="raise")
    (unit,) = (unit for unit in units(calls, workers=1) if 0 in unit.indices)
    backwards = np.argsort(unit.indices)[::-1]
    unit.indices = tuple(unit.indices[at] for at in backwards)
    unit._calls = [unit._calls[at] for at in backwards]
    unit._equals = list(range(len(backwards)))
    with pytest.raises(ValueError, match="The 'C' parameter of SVC"):
        unit.run(X, y)


@pytest.mark.parametrize(
    "change",
    [
        {"verbose": 10},
        {"callback_ctx": object()},
        {"news": True},
        {"error_score": np.float32(0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_calls_that_are_not_understood_are_units_of_their_own(change):
    calls = calls_of(PIPELINE, GRID)
    calls = [call._replace(options={**call.options, **change}) for call in calls]
    assert {len(unit.indices) for unit in units(calls, workers=1)} == {1}


def test_with_metadata_routing_or_an_unknown_scikit_learn_every_call_is_a_unit():
    calls = calls_of(PIPELINE, GRID)
    with sklearn.config_context(enable_metadata_routing=True):
        assert len(units(calls, workers=1)) == len(calls)
    with mock.patch.object(compat, "is_known_shape", return_value=False):
        assert len(units(calls, workers=1)) == len(calls)
    assert len(units(calls, workers=1)) == 3


def test_no_calls_are_no_units():
    assert units([], workers=3) == []


def test_messages_of_a_verbose_search_are_scikit_learns(capsys):
    made = GridSearchCV(PIPELINE, {"pca__n_components": [1, 99], "svc__C": [0.1, 1.0]}, cv=3, verbose=3)
    stock(made, X, y)
    expected = capsys.readouterr().out
    shared(made, X, y)
    found = capsys.readouterr().out

    def untimed(text):
        return sorted(line.partition("total time=")[0].replace(".", "") for line in text.splitlines())

    assert untimed(found) == untimed(expected)


def test_each_candidate_is_charged_the_time_of_what_it_shares(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lease, "time", mock.Mock(time=lambda: now[0]))
    fit, transform = StandardScaler.fit, StandardScaler.transform

    def slow_fit(self, *args):
        now[0] += 100.0
        return fit(self, *args)

    def slow_transform(self, *args):
        now[0] += 1.0
        return transform(self, *args)

    monkeypatch.setattr(StandardScaler, "fit", slow_fit)
    monkeypatch.setattr(StandardScaler, "transform", slow_transform)
    calls = calls_of(PIPELINE, GRID, folds=2, return_times=True)
    results = [result for unit in units(calls, workers=1) for result in unit.run(X, y)]
    assert {result["fit_time"] for result in results} == {101.0}
    assert {result["score_time"] for result in results} == {1.0}


def test_sizes_are_charged_their_share_of_the_largest(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lease, "time", mock.Mock(time=lambda: now[0]))
    fit = GradientBoostingClassifier.fit

    def slow_fit(self, *args):
        now[0] += self.n_estimators
        return fit(self, *args)

    monkeypatch.setattr(GradientBoostingClassifier, "fit", slow_fit)
    calls = calls_of(
        GradientBoostingClassifier(random_state=0), {"n_estimators": [2, 8, 4]}, return_times=True
    )
    for unit in units(calls, workers=1):
        for index, result in zip(unit.indices, unit.run(X, y), strict=True):
            assert result["fit_time"] == calls[index].parameters["n_estimators"]


def test_cross_validation_and_learning_curves_come_to_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cross_validate(PIPELINE, X, y, cv=3, return_train_score=True)
        curve = learning_curve(PIPELINE, X, y, cv=3, shuffle=True, random_state=0)
        with sharing_parallel(workers=2):
            found = cross_validate(PIPELINE, X, y, cv=3, return_train_score=True)
            again = learning_curve(PIPELINE, X, y, cv=3, shuffle=True, random_state=0)
    for name in ("test_score", "train_score"):
        np.testing.assert_array_equal(expected[name], found[name])
    for mine, theirs in zip(curve, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_memo_forgets_what_was_used_longest_ago():
    memo = Memo()
    memo.room_bytes = 250
    for name in "abc":
        memo.call_begins()
        if name == "c":
            memo.recall("a")
            memo.call_begins()
        value = np.zeros(100, dtype=np.int8)
        memo.keep(name, Entry(value, memo.learn(value), 0.0, [], None))
    assert [memo.recall(name) is not None for name in "abc"] == [True, False, True]


def test_a_memo_keeps_what_the_last_two_calls_used_however_large():
    memo = Memo()
    memo.room_bytes = 1
    kept = []
    for call in "abc":
        memo.call_begins()
        for part in ("train", "test"):
            memo.keep(call + part, Entry(np.zeros(100), memo.learn(part), 0.0, [], None))
        kept.append([name for name in "abc" if memo.recall(name + "train") and memo.recall(name + "test")])
    assert kept == [["a"], ["a", "b"], ["a", "b", "c"]]  # each was recalled by the call before
    memo.call_begins()
    memo.call_begins()
    memo.keep("d", Entry(np.zeros(100), memo.learn("d"), 0.0, [], None))
    assert [memo.recall(name + "train") for name in "abc"] == [None] * 3


def test_what_is_shared_is_computed_once_however_little_room_there_is(monkeypatch):
    search = GridSearchCV(PIPELINE, GRID, cv=3, refit=False)
    counts = [counted(monkeypatch, kind, name) for kind, name in [(PCA, "_fit"), (PCA, "transform")]]
    shared(search, X, y)
    usual = [count() for count in counts]
    assert max(usual) < 3 * 9
    with (
        mock.patch("allcores.sklearn.sharing.fold.LEAST_ROOM_BYTES", 1),
        mock.patch("allcores.sklearn.sharing.fold.ROOM_IN_FOLDS", 0),
    ):
        shared(search, X, y)
    assert [count() for count in counts] == [2 * each for each in usual]


def test_a_search_with_a_tiny_memo_comes_to_the_same():
    with (
        mock.patch("allcores.sklearn.sharing.fold.LEAST_ROOM_BYTES", 1),
        mock.patch("allcores.sklearn.sharing.fold.ROOM_IN_FOLDS", 0),
    ):
        made = GridSearchCV(PIPELINE, GRID, cv=3, return_train_score=True)
        assert_same(stock(made, X, y), shared(made, X, y))


def test_units_run_in_threads_at_the_same_time():
    calls = calls_of(PIPELINE, GRID)
    expected = [compat.fit_and_score(call, X, y)["test_scores"] for call in calls_of(PIPELINE, GRID)]
    found = {}
    with ThreadPoolExecutor(4) as pool:
        made = units(calls, workers=4)
        for unit, results in zip(made, pool.map(lambda unit: unit.run(X, y), made), strict=True):
            found |= {
                index: result["test_scores"] for index, result in zip(unit.indices, results, strict=True)
            }
    assert [found[index] for index in range(len(calls))] == expected
