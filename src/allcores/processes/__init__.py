"""Worker processes: how they are started, spoken to and mourned.

In the caller: ``crew`` (the workers of one function) stands on ``forked`` or ``fresh`` (two ways to start a
worker), on ``channel`` and on ``words``; ``pool`` keeps crews warm. ``start`` keeps the ``root``, which is the zygote
as the caller sees it, and is loaded before all of these.

In the children: ``zygote`` forks ``template``, which forks ``worker``; ``child`` is what they share.

Between them: ``wire`` (frames) and ``words`` (shared memory).
"""
