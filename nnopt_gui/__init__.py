"""The laboratory: a Qt application over `nnopt`."""
