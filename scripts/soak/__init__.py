"""Long trials outside the gate."""
