"""Loc2Vec: near places, seen on the map, are alike."""
