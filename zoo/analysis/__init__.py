"""Analyses: how alike networks are in their geometry and in their dynamics.

Importing this loads no plotting and no statistics library; those come with the extras ``analysis``
and ``viz`` and are imported where they are used.
"""

from zoo.analysis.base import Comparator, Features
from zoo.analysis.compare import compare
from zoo.analysis.matrix import DistanceMatrix

__all__ = ["Comparator", "DistanceMatrix", "Features", "compare"]
