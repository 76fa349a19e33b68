"""The slice panel's one sentence: what the curvature says about how far each step should go."""

from __future__ import annotations

import math

from nnopt_gui.panels.slice_model import Line, Local
from nnopt_gui.widgets.numbers import number, signed


def bold(text: str) -> str:
    """Decisive numbers stand out."""
    return f"<b>{text}</b>"


def direction_word(line: Line, step: float) -> str:
    """ "ahead" and "back" where x grows downhill, "to the right" and "to the left" elsewhere."""
    if line.downhill:
        return "ahead" if step >= 0 else "back"
    return "to the right" if step >= 0 else "to the left"


def sentence(line: Line, local: Local, brief: bool = False) -> str:
    """At most about 90 characters of html; brief: 70, for a narrow panel."""
    if not math.isfinite(local.value):
        return "The loss is not finite here: there is no slope and no curvature."
    if not local.finite:
        return f"Loss {bold(number(local.value))}. Slope or curvature is not finite here: there is no model."
    curvature = bold(signed(local.curvature, 2))
    if local.slope == 0.0:
        kind = "a maximum" if local.curvature < 0 else "a minimum" if local.curvature > 0 else "flat"
        return f"The slope is {bold('0')}: no step moves. Curvature {curvature}: on this line this is {kind}."
    if not math.isfinite(local.extremum):
        return f"Curvature {curvature}: the model is a straight line, it has no minimum."
    if local.curvature > 0:
        distance = f"{bold(number(abs(local.extremum), 2))} {direction_word(line, local.extremum)}"
        lowest = f"lowest {distance}" if brief else f"the model is lowest {distance}"
        return f"Curvature {curvature}: {lowest}. {_gradient_step(line, local, brief)}"
    step = local.newton_step
    going = f"goes {bold('uphill')}," if local.uphill else "goes"
    name = "damped Newton step" if local.damping else "Newton step"
    distance = f"{bold(number(abs(step), 2))} {direction_word(line, step)}"
    if brief:
        way = f"{bold('uphill')}, " if local.uphill else ""
        return f"Curvature {curvature}: no minimum. {name[0].upper()}{name[1:]}: {way}{distance}."
    return f"Curvature {curvature}: no minimum. The {name} {going} {distance}."


def _gradient_step(line: Line, local: Local, brief: bool) -> str:
    """Too far, too short, or right: measured by where the model is lowest."""
    length, best = abs(local.gradient_step), abs(local.extremum)
    # "to the left" needs more room than "ahead"
    going = (
        f"The gradient step goes {bold(number(length, 2))}"
        if line.downhill and not brief
        else f"Gradient step {bold(number(length, 2))}"
    )
    ratio = length / best
    if math.isnan(local.gradient_value) or local.gradient_value > local.value:
        return f"{going}: the loss rises."
    if ratio > 1.1:
        return f"{going}, too far."
    return f"{going}, {'just right' if ratio >= 0.9 else 'too short'}."
