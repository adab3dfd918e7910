"""What surrounds a fit: the run folder, its log, atomic checkpoints, the test beside baselines."""
