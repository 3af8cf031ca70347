"""What the cells compute with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd


def groups(count: int, rows: int) -> list[pd.DataFrame]:
    """The groups of a table of measurements."""
    draw = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "station": np.repeat(np.arange(count), rows),
            "temperature": draw.normal(10, 8, count * rows),
            "wind": draw.gamma(2.0, 3.0, count * rows),
        }
    )
    return [group for _, group in table.groupby("station")]


def summary(group: pd.DataFrame) -> dict[str, float]:
    """A row of the report for one station."""
    windy = group[group["wind"] > group["wind"].quantile(0.9)]
    return {
        "station": int(group["station"].iloc[0]),
        "median": float(group["temperature"].median()),
        "windy": float(windy["temperature"].mean()),
        "trend": float(group["temperature"].rolling(24).mean().diff().abs().max()),
    }
