"""Networks of other frameworks: NIR, the Neuromorphic Intermediate Representation, in and out; see ``docs/nir.md``."""
