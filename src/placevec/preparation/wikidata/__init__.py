"""What Wikidata says of a dataset's entities."""
