"""scikit-learn and joblib on every core: a joblib backend, and searches that know more than theirs.

>>> import joblib, allcores.sklearn
>>> from sklearn.datasets import load_iris
>>> from sklearn.model_selection import cross_val_score
>>> from sklearn.svm import SVC
>>> with joblib.parallel_config("allcores"):
...     cross_val_score(SVC(), *load_iris(return_X_y=True), n_jobs=-1).round(2).tolist()
[0.97, 0.97, 0.97, 0.93, 1.0]
"""

from __future__ import annotations

import sys
from typing import Any

from allcores.sklearn import compat
from allcores.sklearn.backend import NAME, AllcoresBackend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.sklearn.search import (
        GridSearchCV,
        HalvingGridSearchCV,
        HalvingRandomSearchCV,
        RandomizedSearchCV,
    )

_SEARCHES = ("GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RandomizedSearchCV")

__all__ = [
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "RandomizedSearchCV",
    "install",
    "uninstall",
]

_before: list[str] = []  # the default that was there

compat.register_parallel_backend(NAME, AllcoresBackend)
if "sklearn.model_selection" in sys.modules:  # else it is imported with the first call that fits something
    from allcores.sklearn import fits  # noqa: F401


def install() -> None:
    """Makes "allcores" the backend of every joblib call in this process that asks for no other.

    Example:
        >>> import allcores.sklearn
        >>> allcores.sklearn.install()
        >>> allcores.sklearn.uninstall()
    """
    if compat.default_backend() != NAME:
        _before[:] = [compat.default_backend()]
        compat.register_parallel_backend(NAME, AllcoresBackend, make_default=True)


def uninstall() -> None:
    """Takes ``install`` back."""
    if compat.default_backend() == NAME and _before:
        compat.restore_default_backend(_before.pop())


def __getattr__(name: str) -> Any:
    """Imports the searches, and scikit-learn's model_selection with them, when one is first used."""
    if name not in _SEARCHES:
        raise AttributeError(f"module 'allcores.sklearn' has no attribute {name!r}")
    from allcores.sklearn import search

    return getattr(search, name)
