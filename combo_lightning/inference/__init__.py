"""Prediction from a checkpoint alone."""
