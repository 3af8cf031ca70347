"""Where the tests of the wing run their tasks."""

import pytest
from joblib import parallel_config

import allcores as ac
import allcores.sklearn


@pytest.fixture
def our_backend():
    with parallel_config("allcores"):
        yield


@pytest.fixture
def processes():
    """Nothing runs in the calling thread."""
    with ac.config(engine="processes"):
        yield
