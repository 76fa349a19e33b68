"""What is minimized: networks on data, test functions, formulas typed by the user; the lowest floor of the science."""
