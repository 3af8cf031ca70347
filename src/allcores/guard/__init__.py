"""The guard: what a function writes that would be lost in another process, and whether threads may run it.

``bytecode`` reads instructions, ``symbols`` names the values they handle, ``summary`` follows those through one
code object, ``reach`` binds summaries to the objects that a function really has and follows its calls,
``digests`` watches the first items run. ``verdict`` puts them together for a task. Nothing here runs user code.
"""
