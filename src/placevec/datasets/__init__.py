"""The dataset directory: places, labels and views, how it is written and read, and several joined."""
