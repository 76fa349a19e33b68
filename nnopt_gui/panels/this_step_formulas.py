r"""The formulas of one step with their numbers filled in, as LaTeX: what the method did, what Newton would have done,
what the quadratic model predicts. Qt-free.

Each method is written in the project's own form of it (nnopt/optimizers), a dictionary row per method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnopt.analysis.explain import Explanation


@dataclass(frozen=True)
class Formula:
    """One line of the board. caption: in words. left: the formula; right: its numbers (LaTeX, may be empty). weight:
    the lower, the sooner it is left out where there is little room. role: colour of the caption. brief: the right side
    for narrow places, if it can be said shorter."""

    caption: str
    left: str
    right: str
    weight: int
    role: str = "text3"
    brief: str = ""


def formulas(facts: Explanation, optimizer: Any, made: bool) -> tuple[Formula, ...]:
    """facts: of the step; optimizer: the method's settings; made: whether the step is in the log already."""
    lines = _METHODS.get(facts.method, _any)(facts, optimizer, "taken" if made else "to come")
    curved = facts.method in ("newton", "damped_newton")
    if curved:
        lines.append(_gradient_beside(facts))
    elif facts.newton_step is not None:
        lines.append(_newton_beside(facts))
    if math.isfinite(facts.predicted):
        lines.append(_predicted(facts))
    return tuple(lines)


# ------------------------------------------------------------------------------------------------------------ methods


def _sgd(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    right = _product(facts, facts.gradient_norm)
    return [
        Formula(
            f"gradient step, {when}",
            rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{gradient}}{{\alpha\nabla L}}",
            right,
            9,
            brief=_brief(facts),
        )
    ]


def _momentum(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    step = (
        rf"\theta_{{{facts.step + 1}}}=\theta_{{{facts.step}}}-\textcolor{{gradient}}{{\alpha v_{{{facts.step + 1}}}}}"
    )
    right = _product(facts, _norm(facts.slots_after.velocity))
    return [_velocity(facts, optimizer), Formula(f"momentum step, {when}", step, right, 9, brief=_brief(facts))]


def _nesterov(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    step = rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{gradient}}{{\alpha(\nabla L+\beta v_{{{t + 1}}})}}"
    right = _product(facts, _norm(facts.gradient + optimizer.beta * facts.slots_after.velocity))
    return [_velocity(facts, optimizer), Formula(f"Nesterov step, {when}", step, right, 9, brief=_brief(facts))]


def _velocity(facts: Explanation, optimizer: Any) -> Formula:
    t = facts.step
    before, after = _norm(facts.slots.velocity), _norm(facts.slots_after.velocity)
    caption = f"velocity: β = {optimizer.beta:g}, |v| was {plain(before)}"
    return Formula(caption, rf"v_{{{t + 1}}}=\nabla L+\beta v_{{{t}}}", rf"|v_{{{t + 1}}}|={tex(after)}", 4)


def _adagrad(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    memory = _squares("all squared gradients", rf"s_{{{t + 1}}}=s_{{{t}}}+\nabla L^2", facts.slots_after.squares, t)
    return [memory, _scaled(facts, "Adagrad", when, rf"\nabla L/(\sqrt{{s_{{{t + 1}}}}}+\varepsilon)")]


def _rmsprop(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    rule = rf"r_{{{t + 1}}}=\rho r_{{{t}}}+(1-\rho)\nabla L^2"
    memory = _squares(f"mean square: ρ = {optimizer.rho:g}", rule, facts.slots_after.squares, t, "r")
    return [memory, _scaled(facts, "RMSprop", when, rf"\nabla L/(\sqrt{{r_{{{t + 1}}}}}+\varepsilon)")]


def _adam(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    count = float(facts.slots_after.count)
    mean = _norm(facts.slots_after.mean) / (1 - optimizer.beta1**count)
    rule = rf"m_{{{t + 1}}}=\beta_1 m_{{{t}}}+(1-\beta_1)\nabla L"
    caption = f"mean gradient: β₁ = {optimizer.beta1:g}, β₂ = {optimizer.beta2:g}"
    memory = Formula(caption, rule, rf"|\hat{{m}}_{{{t + 1}}}|={tex(mean)}", 4)
    return [memory, _scaled(facts, "Adam", when, r"\hat{m}/(\sqrt{\hat{s}}+\varepsilon)")]


def _squares(caption: str, rule: str, squares: Any, t: int, name: str = "s") -> Formula:
    root = float(np.sqrt(np.mean(squares)))
    return Formula(caption, rule, rf"\sqrt{{\overline{{{name}_{{{t + 1}}}}}}}={tex(root)}", 4)


def _scaled(facts: Explanation, name: str, when: str, direction: str) -> Formula:
    t = facts.step
    rate = facts.learning_rate
    right = _product(facts, _norm(facts.taken) / rate if rate > 0 else math.nan)
    return Formula(
        f"{name} step, {when}",
        rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{gradient}}{{\alpha\,{direction}}}",
        right,
        9,
        brief=_brief(facts),
    )


def _newton(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    damped = facts.method == "damped_newton"
    matrix = r"(H+\mu I)^{-1}" if damped else r"H^{-1}"
    factor = "" if facts.learning_rate == 1.0 else r"\alpha\,"
    left = rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{newton}}{{{factor}{matrix}\nabla L}}"
    right = brief = rf"\textcolor{{newton}}{{|\Delta\theta|}}={_taken(facts)}"
    if damped:
        right = rf"\mu={tex(facts.detail.get('damping', facts.damping))},\ {brief}"
    uphill = ": goes uphill" if facts.uphill else ""
    name = "damped Newton step" if damped else "Newton step"
    return [Formula(f"{name}, {when}{uphill}", left, right, 9, "bad" if facts.uphill else "text3", brief)]


def _any(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    left = rf"\theta_{{{t + 1}}}=\theta_{{{t}}}+\textcolor{{gradient}}{{\Delta\theta}}"
    return [Formula(f"{facts.method} step, {when}", left, rf"|\Delta\theta|={_taken(facts)}", 9)]


_METHODS: dict[str, Callable[[Explanation, Any, str], list[Formula]]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "newton": _newton,
    "damped_newton": _newton,
}

# ------------------------------------------------------------------------------------------------- beside, predicted


def _newton_beside(facts: Explanation) -> Formula:
    assert facts.newton_step is not None
    matrix = r"(H+\mu I)^{-1}" if facts.damping else r"H^{-1}"
    uphill = ": goes uphill" if facts.newton_uphill else ""
    right = rf"\textcolor{{newton}}{{|\Delta\theta_N|}}={tex(_norm(facts.newton_step))}"
    left = rf"\textcolor{{newton}}{{\Delta\theta_N}}={{-}}{matrix}\nabla L"
    return Formula(f"Newton step, not taken{uphill}", left, right, 5, "bad" if facts.newton_uphill else "text3")


def _gradient_beside(facts: Explanation) -> Formula:
    over = r"/\lambda_{1}" if facts.spectrum is not None and facts.spectrum.largest > 0 else ""
    right = rf"\textcolor{{gradient}}{{|\Delta\theta_g|}}={tex(_norm(facts.gradient_step))}"
    left = rf"\textcolor{{gradient}}{{\Delta\theta_g}}={{-}}\nabla L{over}"
    return Formula("gradient step, not taken", left, right, 5)


def _predicted(facts: Explanation) -> Formula:
    left = r"\Delta L\approx g^{\top}\Delta\theta+½\Delta\theta^{\top}H\Delta\theta"
    if facts.method == "sgd":
        left = r"\Delta L\approx{-}\alpha|g|^2+½\alpha^2 g^{\top}Hg"
    bend = facts.predicted - facts.slope
    sign = "-" if bend < 0 else "+"
    right = rf"{tex(facts.slope)}{sign}{tex(abs(bend))}={tex(facts.predicted)}"
    return Formula("change the model predicts", left, right, 7, brief=rf"={tex(facts.predicted)}")


def _taken(facts: Explanation) -> str:
    return tex(_norm(facts.taken))


def _product(facts: Explanation, length: float) -> str:
    """|step| = rate x length = its value."""
    return (
        rf"\textcolor{{gradient}}{{|\Delta\theta|}}={tex(facts.learning_rate, 3)}\times {tex(length)}={_taken(facts)}"
    )


def _brief(facts: Explanation) -> str:
    return rf"\textcolor{{gradient}}{{|\Delta\theta|}}={_taken(facts)}"


def _norm(vector: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(vector))


def plain(x: float, digits: int = 3) -> str:
    """A number for a caption."""
    return f"{x:.{digits}g}".replace("-", "−")


def tex(x: float, digits: int = 4) -> str:
    r"""A number in LaTeX: 0.1258, {-}0.0107, 3.1\times 10^{{-}5}."""
    if math.isnan(x):
        return "?"
    if math.isinf(x):
        return r"{-}\infty" if x < 0 else r"\infty"
    sign = "{-}" if x < 0 else ""
    if x == 0:
        return "0"
    rounded = float(f"{abs(x):.{digits - 1}e}")
    power = math.floor(math.log10(rounded))
    if -5 < power < 5:
        decimals = min(max(digits - 1 - power, 0), 4 if power >= -2 else 6)
        return f"{sign}{rounded:.{decimals}f}"
    mantissa = f"{abs(x) / 10.0**power:.2f}"
    exponent = f"{{-}}{-power}" if power < 0 else str(power)
    return rf"{sign}{mantissa}\times 10^{{{exponent}}}"
