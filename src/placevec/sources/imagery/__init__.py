"""Images and what classifiers say of them."""
