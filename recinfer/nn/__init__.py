"""Building blocks of models; parameter names follow TorchEasyRec's, so that its checkpoints load."""
