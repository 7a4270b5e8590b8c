"""Images, and predictions of image classifiers."""
