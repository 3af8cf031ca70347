"""Real faults: workers, their parents and their callers are killed, and nothing is lost or left."""
