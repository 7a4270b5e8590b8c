"""OpenStreetMap: extracts, their objects and tags, and the layer rules."""
