"""How networks learn: kernels, curvature, curves; specs in ``zoo/specs/analyses/learning.py``."""
