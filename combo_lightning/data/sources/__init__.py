"""One file for each public format that a screen or a molecular profile comes in."""
