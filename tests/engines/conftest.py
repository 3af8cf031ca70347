"""Process workers are tested on both ways to start them."""

import pytest

from starting import STARTS, workers_start_by


@pytest.fixture(params=STARTS)
def start_method(request):
    with workers_start_by(request.param):
        yield request.param
