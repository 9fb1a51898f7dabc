"""What the entry point names: where the two classes are, without importing them."""

from zoo.registry import Kind

LEAKY_INTEGRATOR = Kind("zoo_healthy.spec:LeakyIntegratorSpec", "zoo_healthy.model:LeakyIntegrator")
