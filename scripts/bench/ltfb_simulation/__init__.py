"""Tournaments of up to 1,024 trainer groups over a cheap model of training."""
