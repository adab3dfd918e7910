"""``combo-lightning checkpoint``: what is done to checkpoints as files."""

import sys
from pathlib import Path


def consolidate(*, ckpt_path: Path, out: Path) -> None:
    """Put a checkpoint of several processes, with its folder of shards, into one file.

    Args:
        ckpt_path: The checkpoint, of any layout.
        out: The file to write.

    Raises:
        InputError: If the checkpoint cannot be read, or `out` is there already.
    """
    from combo_lightning.checkpoint import copy_feature_files, load_checkpoint, write_checkpoint
    from combo_lightning.errors import InputError

    if out.exists():
        raise InputError(f"{out} is there already; choose another --out")
    checkpoint = load_checkpoint(ckpt_path)
    copy_feature_files(checkpoint, ckpt_path.parent, out.parent)
    write_checkpoint(checkpoint, out)
    megabytes = out.stat().st_size / 1e6
    sys.stdout.write(f"wrote {out}: {megabytes:.1f} MB, in one file\n")


SUBCOMMANDS = {"consolidate": consolidate}
