"""What travels to a worker: the user's function as a task, how it is pickled, and the world it runs in.

Imported by callers and by workers alike, so it imports next to nothing.
"""
