"""A stream: results arrive while the input is still being read, and an item that fails stops nobody else."""

import json

import allcores as ac


def lines():
    """Input of any length, read as results are taken."""
    for number in range(1000):
        yield "{broken" if number == 700 else json.dumps({"number": number, "value": number**2})


total = 0
for result in ac.par(lines(), on_error="return").map(json.loads):
    if isinstance(result, ac.Failure):
        print("line", result.index, "is", repr(result.item), "-", type(result.error).__name__)
    else:
        total += result["value"]
print("total", total)

# prints:
# line 700 is '{broken' - JSONDecodeError
# total 332343500
