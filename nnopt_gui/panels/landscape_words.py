"""The landscape panel's one sentence: which steps go uphill, how much of them lies in the plane, and the curvatures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nnopt.analysis.taylor import FLAT
from nnopt_gui.panels.slice_words import bold
from nnopt_gui.widgets.numbers import apart, integer, number, percent, short, signed
from nnopt_gui.widgets.richline import plain

if TYPE_CHECKING:
    from nnopt_gui.panels.landscape_model import LocalModel
    from nnopt_gui.panels.landscape_plane import MapFrame

#: characters that a readout has room for
ROOM = 92


def sentence(local: LocalModel, frame: MapFrame, step: int | None = None) -> str:
    """Html; what matters most comes first, and what does not fit is left out. step: the one that is shown; the plane
    may be kept from another one."""
    if not math.isfinite(local.value):
        return "The loss is not finite at this point: there is no gradient and no curvature."
    first = own(local) or uphill(local)
    found = f"This plane holds {bold(percent(frame.explained))} of the path." if frame.explained is not None else ""
    newton = _newton_uphill(local) if local.own is not None else ""
    for part in (first, newton, share(local, frame, step), curvature(local, local.stationary in first and bool(first))):
        longer = f"{found} {part}".strip()
        if part and len(plain(longer)) <= ROOM:
            found = longer
    return found


def own(local: LocalModel) -> str:
    """What the run's own step does to the full loss; "" where it is one of the other two."""
    step = local.own
    if step is None:
        return ""
    if step.length == 0.0:
        return f"The {step.name} is {bold('0')}: theta stays."
    before, after = (bold(text) for text in apart(local.value, step.value, 4))
    if rises(local.value, step.value):
        return f"The {step.name} {bold('raises')} the loss: {before} → {after}."
    return f"The {step.name} gains {bold(number(local.value - step.value, 3))}: {before} → {after}."


def _newton_uphill(local: LocalModel) -> str:
    """Whether Newton's step, which is not made, would go up."""
    end = f" to a {local.stationary}" if local.stationary in ("maximum", "saddle") else ""
    return f"The Newton step would go {bold('uphill')}{end}." if local.newton_uphill else ""


def uphill(local: LocalModel) -> str:
    """Steps after which the loss is higher than before, with the numbers; "" if there are none."""
    newton = local.newton is not None and rises(local.value, local.newton_value)
    gradient = rises(local.value, local.gradient_value)
    if not (newton or gradient):
        return ""
    if newton and gradient:
        before = bold(number(local.value, 3))
        after = f"{bold(number(local.gradient_value, 3))} and {bold(number(local.newton_value, 3))}"
        return f"After both steps the loss is {bold('higher')}: {before} → {after}."
    landing = local.gradient_value if gradient else local.newton_value
    after = " → ".join(bold(text) for text in apart(local.value, landing, 4))
    if gradient:
        return f"The gradient step is {bold('too long')}: {after}."
    if not local.newton_uphill:
        return f"The Newton step {bold('overshoots')}: {after}."
    end = f", to a {local.stationary}" if local.stationary in ("maximum", "saddle") else ""
    return f"The Newton step goes {bold('uphill')}: {after}{end}."


def rises(before: float, after: float) -> bool:
    """Whether a loss grew by more than rounding; what is not finite has risen."""
    return not math.isfinite(after) or after > before + 1e-12 * max(abs(before), 1e-300)


def share(local: LocalModel, frame: MapFrame, step: int | None = None) -> str:
    """How much of each step's length lies in the plane; of a plane made for another step, which one that was."""
    if frame.complete:
        return ""
    if step is not None and frame.step is not None and frame.step != step:
        return f"The plane is that of step {bold(integer(frame.step))}."
    shares = [local.gradient_share, *([local.newton_share] if local.newton is not None else [])]
    if local.own is not None:
        if min(*shares, local.own_share) > 0.9995:
            return "All steps lie in this plane."
        return f"In this plane: {bold(percent(local.own_share))} of the {local.own.name}."
    if min(shares) > 0.9995:
        return "Both steps lie in this plane." if len(shares) == 2 else "The gradient step lies in this plane."
    words = f"{bold(percent(local.gradient_share))} of the gradient step"
    if local.newton is not None:
        words += f", {bold(percent(local.newton_share))} of the Newton step"
    return f"In this plane: {words}." if frame.explained is None else f"In it: {words}."


def curvature(local: LocalModel, said: bool = False) -> str:
    """Along the valley and across it, with their ratio; or which way it is not a valley, unless that was said."""
    least, most = local.curvatures
    if not (math.isfinite(least) and math.isfinite(most)):
        return ""
    cut = FLAT * max(abs(least), abs(most))
    least, most = (0.0 if abs(value) <= cut else value for value in (least, most))
    if least > 0:
        ratio = f"({bold(short(most / least, 2))} : 1)" if most / least < 1e6 else ""
        return f"Curvature {bold(number(least, 2))} along the valley, {bold(number(most, 2))} across {ratio}.".replace(
            " .", "."
        )
    if least == 0:
        along = "" if most == 0 else f" along the valley, {bold(number(most, 2))} across"
        return f"Curvature {bold('0')}{along or ': flat'}."
    kind = "" if said else f": {'saddle' if most > 0 else 'dome' if most < 0 else 'ridge'}-shaped"
    return f"Curvature {bold(signed(least, 2))} and {bold(signed(most, 2) if most else '0')}{kind}."
