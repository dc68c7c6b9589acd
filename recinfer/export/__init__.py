"""Exports: a trained model as a folder that predicts without this package's model code.

``recinfer.export(...)`` is :func:`recinfer.main.export`.
"""

from recinfer.callable_package import make_callable

make_callable(__name__)
