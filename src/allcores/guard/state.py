"""What is known at one point of a code object: where its variables and its stack come from."""

from __future__ import annotations

from allcores.guard import symbols
from allcores.guard.symbols import NEW, Symbol


class State:
    """Variables, stack and known facts at one point of the code."""

    __slots__ = ("empty", "stack", "variables")

    def __init__(
        self, variables: dict[str, Symbol], stack: list[Symbol], empty: frozenset[Symbol] = frozenset()
    ) -> None:
        self.variables = variables
        self.stack = stack
        self.empty = empty  # values known to be None, or false

    def copy(self, depth: int | None = None) -> State:
        return State(dict(self.variables), self.stack[:depth], self.empty)

    def joined(self, other: State) -> State | None:
        """What holds whichever way was taken; None if that is this state already."""
        variables = dict(self.variables)
        for name, symbol in other.variables.items():
            mine = variables.get(name)
            variables[name] = symbol if mine is None else symbols.either(mine, symbol)
        stack = [symbols.either(mine, symbol) for mine, symbol in zip(self.stack, other.stack, strict=False)]
        empty = self.empty & other.empty
        if variables == self.variables and stack == self.stack and empty == self.empty:
            return None
        return State(variables, stack, empty)

    def pop(self) -> Symbol:
        return self.stack.pop() if self.stack else NEW

    def pop_many(self, count: int) -> list[Symbol]:
        return [self.pop() for _ in range(count)][::-1]

    def push(self, symbol: Symbol) -> None:
        self.stack.append(symbol)
