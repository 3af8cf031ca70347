"""The scikit-learn wing: cross-validation and searches on every core."""
