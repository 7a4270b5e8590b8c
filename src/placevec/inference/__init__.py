"""Maps of a model's predictions: over a grid of cells, or at points, without images.

``query`` selects classes of a model with a head; ``grid`` divides an area into cells; ``raster`` writes a GeoTIFF row
by row; ``table`` writes predictions at points.
"""
