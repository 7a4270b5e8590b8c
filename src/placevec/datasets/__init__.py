"""The dataset directory: places, labels and views; reading, writing and joining."""
