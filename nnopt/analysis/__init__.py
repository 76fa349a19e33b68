"""What can be seen in a run: plateaus, curvature, quadratic models, slices and planes of the loss, a step explained."""
