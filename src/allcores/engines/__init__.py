"""Ways to run chunks, one small class each behind ``base.Engine``."""
