"""How good the predictions of a model with a head are."""
