"""Prediction: a scorer, and the staged pipeline that runs it over tables of any size.

``recinfer.predict(...)`` is :func:`recinfer.main.predict`.
"""

from recinfer.callable_package import make_callable

make_callable(__name__)
