"""Maps drawn for people: what the map view holds in a box, and how it is painted."""
