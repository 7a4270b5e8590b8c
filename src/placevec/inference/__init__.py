"""Where a model expects what: its answers over a grid of places, or at points, without a picture.

``asking`` picks classes of a model with a head; ``grid`` lays places over an area; ``raster`` writes a GeoTIFF row by
row; ``table`` writes answers at points.
"""
