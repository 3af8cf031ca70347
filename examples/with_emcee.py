"""emcee takes any pool that has a `map`: the module itself is one."""

import emcee
import numpy as np

import allcores as ac

WALKERS, DIMENSIONS, STEPS = 16, 3, 50


def log_probability(x):
    return -0.5 * np.sum(x**2)


def sample(pool):
    start = np.random.default_rng(1).normal(size=(WALKERS, DIMENSIONS))
    sampler = emcee.EnsembleSampler(WALKERS, DIMENSIONS, log_probability, pool=pool)
    sampler.random_state = np.random.RandomState(2).get_state()
    sampler.run_mcmc(start, STEPS)
    return sampler.get_chain()


print("the same chain:", np.array_equal(sample(pool=ac), sample(pool=None)))

# prints:
# the same chain: True
