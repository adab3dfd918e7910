"""The poster's experiment: how training time falls with processes, measured and modelled."""
