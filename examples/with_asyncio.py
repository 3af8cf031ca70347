"""asyncio: an event loop stays responsive while worker processes compute."""

import asyncio

import allcores as ac


def count_primes(limit):
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, limit))


async def main():
    loop = asyncio.get_running_loop()
    with ac.Executor() as executor:
        calls = [loop.run_in_executor(executor, count_primes, limit) for limit in (1000, 2000, 3000)]
        beat = loop.run_in_executor(executor, lambda: "a lambda travels too")
        print(await beat)
        print(await asyncio.gather(*calls))


asyncio.run(main())

# prints:
# a lambda travels too
# [168, 303, 430]
