"""SciPy takes anything like `map` for its workers: here it evaluates each generation on every core."""

from scipy.optimize import differential_evolution, rosen

import allcores as ac

BOUNDS = [(-5, 5)] * 4
OPTIONS = {"updating": "deferred", "maxiter": 60, "polish": False, "rng": 7}

try:
    alone = differential_evolution(rosen, BOUNDS, **OPTIONS)
except TypeError:  # SciPy before 1.15
    OPTIONS["seed"] = OPTIONS.pop("rng")
    alone = differential_evolution(rosen, BOUNDS, **OPTIONS)
parallel = differential_evolution(lambda x: rosen(x), BOUNDS, workers=ac.map, **OPTIONS)

print(
    "the same minimum:",
    bool((parallel.x == alone.x).all()),
    "after the same steps:",
    parallel.nit == alone.nit,
)

# prints:
# the same minimum: True after the same steps: True
