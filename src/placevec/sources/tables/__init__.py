"""Tables of points, labels and features, read by column name."""
