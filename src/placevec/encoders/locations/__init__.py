"""Location encoders: from longitude and latitude to a vector. Build them with `placevec.encoders.location`.

One file per family: ``raw`` (xyz, wrap), ``planar`` (grid, theory), ``sphere`` (sphereC to dfs), ``fourier`` (NeRF,
random Fourier features), ``kernels`` (rbf, cells), ``harmonics``. ``names`` is the registry, ``networks`` maps features
to vectors, and ``encoder`` combines features and network.
"""
