"""Training and evaluation: batches, optimizers, schedules, losses, metrics, checkpoints and the loop over them."""
