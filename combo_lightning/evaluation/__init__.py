"""Scores, naive baselines, replicates and what they say together."""
