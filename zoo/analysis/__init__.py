"""Analyses: how alike networks are in their geometry and in their dynamics.

Importing this loads no plotting and no statistics library; those come with the extras ``analysis``
and ``viz`` and are imported where they are used.
"""

from zoo.analysis.base import Comparator, Features
from zoo.analysis.bootstrap import Bootstrap, bootstrap
from zoo.analysis.compare import compare
from zoo.analysis.dynamics.choosing import Sweep, sweep
from zoo.analysis.finding import Finding, Findings
from zoo.analysis.identify import Identification, identify
from zoo.analysis.landmarks import LandmarkMap, landmarks
from zoo.analysis.matrix import DistanceMatrix
from zoo.analysis.measure import Found, Measurement, analyse, measure
from zoo.analysis.observe import observe

__all__ = [
    "Bootstrap",
    "Comparator",
    "DistanceMatrix",
    "Features",
    "Finding",
    "Findings",
    "Found",
    "Identification",
    "LandmarkMap",
    "Measurement",
    "Sweep",
    "analyse",
    "bootstrap",
    "compare",
    "identify",
    "landmarks",
    "measure",
    "observe",
    "sweep",
]
