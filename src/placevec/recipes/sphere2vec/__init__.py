"""Sphere2Vec: encoders of coordinates, trained on labeled points or on images."""
