"""Predict how tumour cell lines respond to drug combinations."""

__version__ = "0.1.0"
