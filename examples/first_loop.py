"""A first loop: what was `[collatz(n) for n in range(...)]` runs on every core, without a `__main__` guard."""

import allcores as ac


def collatz(n):
    """How many steps it takes from n to 1."""
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


steps = ac.map(collatz, range(1, 20_000))
print("the longest way:", max(steps), "steps, from", steps.index(max(steps)) + 1)

# prints:
# the longest way: 278 steps, from 17647
