"""Joining prepared data sets: which lines and drugs are one, their features, the rows."""
