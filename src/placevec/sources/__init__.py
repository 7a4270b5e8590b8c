"""The world, read into tables: one file a source."""
