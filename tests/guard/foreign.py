"""A package that is not the user's: the guard does not read its code."""

import sys
import types

SOURCE = """
import functools


class Estimator:
    def __init__(self, depth=1):
        self.depth = depth

    def get_params(self, deep=True):
        return {"depth": self.depth}

    def set_params(self, depth):
        self.depth = depth
        return self

    def fit(self, X, y=None):
        self.mean_ = sum(X) / len(X)
        return self

    def learn(self, X):
        self.fit(X)

    def predict(self, X):
        self._last = X
        return [self.mean_ for _ in X]


class Client:
    def __init__(self):
        self.calls = 0
        self.connection = None
        self.rows = []
        self.cache_of_pages = {}

    def call(self, x):
        self.calls += 1
        self._state = x
        self.connection = object()
        self.cache_of_pages[x] = x
        return self.table[0] + x

    def keep(self, x):
        self.rows.append(x)

    @functools.cached_property
    def table(self):
        return [1]


def refit(model, X):
    return model.fit(X)
"""

package = types.ModuleType("somebodys")
package.__file__ = "/usr/lib/python3/site-packages/somebodys.py"
sys.modules["somebodys"] = package
exec(compile(SOURCE, package.__file__, "exec"), package.__dict__)
Estimator, Client, refit = package.Estimator, package.Client, package.refit
