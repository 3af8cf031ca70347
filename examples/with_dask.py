"""dask: its graphs run on an executor of ours, functions of the script included."""

import dask

import allcores as ac


@dask.delayed
def load(part):
    return list(range(part * 1000, (part + 1) * 1000))


@dask.delayed
def total(rows):
    return sum(rows)


@dask.delayed
def merged(totals):
    return sum(totals)


with ac.Executor(max_workers=2) as executor:
    print(dask.compute(merged([total(load(part)) for part in range(8)]), scheduler=executor))

# prints:
# (31996000,)
