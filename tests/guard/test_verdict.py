"""What the guard finds, and what it must not."""

import pytest

from allcores.guard.verdict import in_words, verdict
from allcores.tasks.task import Task

from . import cases


def look(function, sample=3, kind="map"):
    return verdict(Task(((kind, function),)), sample)


@pytest.mark.parametrize("name", cases.FOUND)
def test_a_write_that_would_be_lost_is_found(name):
    function, path, *sample = cases.FOUND[name]
    findings = look(function, *sample).findings
    assert len(findings) == 1, findings
    assert findings[0].path.startswith(path), findings
    assert path.split("[")[0] in in_words(findings[0])


@pytest.mark.parametrize("name", cases.NOT_FOUND)
def test_what_is_not_lost_is_not_found(name):
    function, *sample = cases.NOT_FOUND[name]
    assert look(function, *sample).findings == ()
