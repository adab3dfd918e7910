"""Warnings of Lightning and torch that do not apply here."""

import warnings


def silence_known_warnings(*, fits: bool = True) -> None:
    """Ignore Lightning's advice that does not apply here; each with its cause.

    Args:
        fits: Whether the command trains.
    """
    known = [
        # Our program hands the arguments over; nothing else reads sys.argv.
        ".*LightningCLI's args parameter is intended to run from within Python.*",
        # A fit without a validation part is what was asked for.
        ".*Total length of `list` across ranks is zero.*",
        # A resumed run goes on in its own folder.
        ".*Checkpoint directory .* exists and is not empty.*",
        # Lightning's own use of a torch interface that is going away.
        ".*isinstance.treespec, LeafSpec.. is deprecated.*",
        # Scores are computed from all processes' rows: each logs the same number.
        ".*It is recommended to use .self.log.*sync_dist=True.*",
        # Nothing changes the responses in place.
        ".*FSDP2-wrapped module .* returned a view tensor.*",
        # A fit on a login node, or beside an installed Slurm, is what was asked for.
        ".*The `srun` command is available on your system but is not used.*",
        # Batches are slices of an index array in memory; workers would only slow them down.
        ".*does not have many workers.*",
    ]
    if not fits:
        # A champion's checkpoint was saved in another folder, and nothing more is saved here.
        known.append(".*The dirpath has changed from.*")
    for message in known:
        warnings.filterwarnings("ignore", message=message)
