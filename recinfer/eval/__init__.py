"""A door for ``python -m recinfer.eval``; evaluation itself is in :mod:`recinfer.train.evaluator`."""
