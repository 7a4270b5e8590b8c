"""Drawing the map view: reading it in a bounding box, and rendering it in map colors."""
