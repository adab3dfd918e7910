"""Where within an epoch Lightning can go on exactly."""

import lightning.pytorch as pl


def resumes_exactly(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Tell whether a checkpoint saved after this step resumes with nothing left out.

    Between a step and the validation, or the epoch's end, that is due after it, it does not:
    Lightning would skip what is due.

    Args:
        trainer: At the end of a training batch.
        batch_idx: That batch's number in the epoch.
    """
    done = batch_idx + 1
    if trainer.check_val_every_n_epoch is None:
        done = trainer.fit_loop.total_batch_idx + 1
    every = trainer.val_check_batch
    validation_due = every is not None and done % every == 0
    return not (validation_due or trainer.is_last_batch)
