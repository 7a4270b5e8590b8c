"""Encoders of bare coordinates: a longitude and a latitude become a vector. `placevec.encoders.location` builds them.

One file a family: ``raw`` (xyz, wrap), ``planar`` (grid, theory), ``sphere`` (sphereC to dfs), ``fourier`` (NeRF, random
Fourier features), ``kernels`` (rbf, cells), ``harmonics``; ``names`` knows them all; ``networks`` turn features into
vectors; ``encoder`` joins the two.
"""
