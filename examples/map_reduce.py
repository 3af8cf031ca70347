"""Map-reduce: count words in one pass; what is counted is merged inside the workers."""

import tempfile
from collections import Counter
from pathlib import Path

import allcores as ac

TEXT = "the quick brown fox jumps over the lazy dog\n"

with tempfile.TemporaryDirectory() as folder:
    for number in range(20):
        (Path(folder) / f"{number:02}.txt").write_text(TEXT * (number + 1))
    paths = sorted(Path(folder).iterdir())
    words = ac.par(paths).flat_map(lambda path: path.read_text().split())
    counts = words.map(lambda word: Counter([word])).reduce(lambda some, more: some + more)
    letters = ac.par(paths).map(lambda path: path.stat().st_size).sum()

print(counts.most_common(2), letters)

# prints:
# [('the', 420), ('quick', 210)] 9240
