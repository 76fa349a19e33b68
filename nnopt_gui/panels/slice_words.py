"""The slice panel's one sentence: what the curvature says about how far each step should go."""

from __future__ import annotations

import math

from nnopt_gui.panels.slice_model import Line, Local
from nnopt_gui.widgets.numbers import number, signed
from nnopt_gui.widgets.richline import plain


def bold(text: str) -> str:
    """Decisive numbers stand out."""
    return f"<b>{text}</b>"


def direction_word(line: Line, step: float) -> str:
    """ "ahead" and "back" where x grows downhill, "to the right" and "to the left" elsewhere."""
    if line.downhill:
        return "ahead" if step >= 0 else "back"
    return "to the right" if step >= 0 else "to the left"


def sentence(line: Line, local: Local, brief: bool = False) -> str:
    """At most about 90 characters of html; brief: 70, for a narrow panel. Where the run's own step is another one than
    the two, it is told what that one gains."""
    room = 70 if brief else 92
    words = _of_line(line, local, brief)
    if not local.own_name or not local.finite or local.slope == 0.0:
        return words
    curvature = bold(signed(local.curvature, 2))
    if not math.isfinite(local.extremum):
        first = f"Curvature {curvature}: no minimum."
    elif local.curvature > 0:
        first = f"Curvature {curvature}: lowest {bold(number(abs(local.extremum), 2))} "
        first += f"{direction_word(line, local.extremum)}."
    else:
        first = f"Curvature {curvature}: no minimum, Newton goes {bold('uphill')}." if local.uphill else ""
        first = first or f"Curvature {curvature}: no minimum."
    options = own_step(local.own_name, local.own_length, local.value, local.own_value)
    said = [f"{start} {words}" for start in (first, f"Curvature {curvature}.") for words in options]
    return next((text for text in said if len(plain(text)) <= room), options[-1])


def own_step(name: str, length: float, before: float, after: float) -> tuple[str, ...]:
    """What the step that the run makes does to the full loss, from the longest to the shortest way to say it."""
    if length == 0.0:
        return (f"The {name} is {bold('0')}: theta stays.",)
    change = before - after
    if not math.isfinite(change):
        gain = f"leads to a loss that is {bold('not finite')}"
    elif abs(change) <= 1e-12 * abs(before):
        gain = "leaves the loss as it is"
    else:
        gain = f"{'gains' if change > 0 else 'loses'} {bold(number(abs(change), 3))}"
    upper = f"{name[0].upper()}{name[1:]}"
    return (
        f"The {name} is {bold(number(length, 3))} long and {gain}.",
        f"{upper} {bold(number(length, 3))}: {gain}.",
        f"{upper} {gain}.",
    )


def _of_line(line: Line, local: Local, brief: bool) -> str:
    """What the model says about the steps along the line."""
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
