r"""The formulas of one step with their numbers filled in, as LaTeX: what the method did, what Newton would have done,
what the quadratic model predicts. Qt-free.

Each method is written in the project's own form of it (nnopt/optimizers), a dictionary row per method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnopt.analysis.explanation import Explanation
from nnopt_gui.panels.own_step import OwnStep
from nnopt_gui.widgets import numbers

#: a linear system counts as solved where its residual is below this fraction of the gradient
SOLVED = 1e-3


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
    if _shaped(optimizer):
        lines.insert(0, _used(facts, optimizer))
    # a step that is neither the gradient step nor Newton's has the colour that it has in the other panels
    own = OwnStep(facts.taken, facts.after, "").is_other_than(facts.gradient_step, facts.newton_step)
    lines = [_in_own_colour(line) for line in lines] if own else lines
    if _is_newtons(facts):
        lines.append(_gradient_beside(facts))
    elif facts.newton_step is not None:
        lines.append(_newton_beside(facts))
    if math.isfinite(facts.predicted):
        lines.append(_predicted(facts, optimizer))
    return tuple(lines)


def _in_own_colour(line: Formula) -> Formula:
    left, right, brief = (
        text.replace(r"\textcolor{gradient}", r"\textcolor{own}").replace(r"\textcolor{newton}", r"\textcolor{own}")
        for text in (line.left, line.right, line.brief)
    )
    return replace(line, left=left, right=right, brief=brief)


def _is_newtons(facts: Explanation) -> bool:
    """Whether the Newton step that is compared is the step of the method itself."""
    if facts.rows is not None and not facts.of_batch:
        return False
    damped = facts.method in ("newton", "damped_newton", "trust_region")
    return damped and facts.damping == facts.detail.get("damping", 0.0)


# ------------------------------------------------------------------------- the gradient that first-order methods use


def _shaped(optimizer: Any) -> bool:
    """Whether the method clips or decays its gradient first."""
    return bool(getattr(optimizer, "clip", 0.0) or (getattr(optimizer, "weight_decay", 0.0) and _coupled(optimizer)))


def _coupled(optimizer: Any) -> bool:
    return not getattr(optimizer, "decoupled", False)


def _gradient(facts: Explanation, optimizer: Any) -> tuple[Any, str]:
    """The gradient the method works with, and its symbol."""
    if not _shaped(optimizer):
        return facts.gradient, r"\nabla L"
    return optimizer.used(facts.gradient, facts.theta, _coupled(optimizer))[0], r"\tilde{g}"


def _used(facts: Explanation, optimizer: Any) -> Formula:
    vector, symbol = _gradient(facts, optimizer)
    said, rule = [], r"\nabla L"
    if optimizer.clip:
        rule = r"\min(1,c/|\nabla L|)\nabla L"
        said.append(
            f"clipped at {optimizer.clip:g}" + (", not reached" if facts.gradient_norm <= optimizer.clip else "")
        )
    if optimizer.weight_decay and _coupled(optimizer):
        rule += rf"+w\theta_{{{facts.step}}}"
        said.append(f"decay w = {optimizer.weight_decay:g}")
    return Formula(f"gradient used: {', '.join(said)}", f"{symbol}={rule}", rf"|{symbol}|={tex(_norm(vector))}", 3)


# ------------------------------------------------------------------------------------------------------------ methods


def _sgd(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    vector, symbol = _gradient(facts, optimizer)
    right = _product(facts, _norm(vector))
    return [
        Formula(
            f"gradient step, {when}",
            rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{gradient}}{{\alpha{symbol}}}",
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
    vector, symbol = _gradient(facts, optimizer)
    step = rf"\theta_{{{t + 1}}}=\theta_{{{t}}}-\textcolor{{gradient}}{{\alpha({symbol}+\beta v_{{{t + 1}}})}}"
    right = _product(facts, _norm(vector + optimizer.beta * facts.slots_after.velocity))
    return [_velocity(facts, optimizer), Formula(f"Nesterov step, {when}", step, right, 9, brief=_brief(facts))]


def _velocity(facts: Explanation, optimizer: Any) -> Formula:
    t = facts.step
    before, after = _norm(facts.slots.velocity), _norm(facts.slots_after.velocity)
    caption = f"velocity: β = {optimizer.beta:g}, |v| was {plain(before)}"
    symbol = _gradient(facts, optimizer)[1]
    return Formula(caption, rf"v_{{{t + 1}}}={symbol}+\beta v_{{{t}}}", rf"|v_{{{t + 1}}}|={tex(after)}", 4)


def _adagrad(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    symbol = _gradient(facts, optimizer)[1]
    memory = _squares("all squared gradients", rf"s_{{{t + 1}}}=s_{{{t}}}+{symbol}^2", facts.slots_after.squares, t)
    return [memory, _scaled(facts, "Adagrad", when, rf"{symbol}/(\sqrt{{s_{{{t + 1}}}}}+\varepsilon)")]


def _rmsprop(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    symbol = _gradient(facts, optimizer)[1]
    rule = rf"r_{{{t + 1}}}=\rho r_{{{t}}}+(1-\rho){symbol}^2"
    memory = _squares(f"mean square: ρ = {optimizer.rho:g}", rule, facts.slots_after.squares, t, "r")
    return [memory, _scaled(facts, "RMSprop", when, rf"{symbol}/(\sqrt{{r_{{{t + 1}}}}}+\varepsilon)")]


def _adam(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    count = float(facts.slots_after.count)
    mean = _norm(facts.slots_after.mean) / (1 - optimizer.beta1**count)
    rule = rf"m_{{{t + 1}}}=\beta_1 m_{{{t}}}+(1-\beta_1){_gradient(facts, optimizer)[1]}"
    caption = f"mean gradient: β₁ = {optimizer.beta1:g}, β₂ = {optimizer.beta2:g}"
    memory = Formula(caption, rule, rf"|\hat{{m}}_{{{t + 1}}}|={tex(mean)}", 4)
    direction = r"\hat{m}/(\sqrt{\hat{s}}+\varepsilon)"
    if optimizer.weight_decay and optimizer.decoupled:
        direction = rf"({direction}+w\theta_{{{t}}})"
    return [memory, _scaled(facts, "Adam", when, direction)]


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
    if facts.method == "damped_newton":
        return [_second_order(facts, "damped Newton step", when, r"(H+\mu I)^{-1}", _damping(facts))]
    return [_second_order(facts, "Newton step", when, r"H^{-1}")]


def _saddle_free(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    smallest = rf"\lambda_{{\min}}={tex(facts.detail.get('smallest', math.nan))}"
    return [_second_order(facts, "saddle-free Newton step", when, r"|H|^{-1}", smallest, "step_factor")]


def _gauss_newton(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    return [_second_order(facts, "Gauss–Newton step", when, r"(G+\mu I)^{-1}", _damping(facts))]


def _trust_region(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    said = "to its edge" if facts.detail.get("at_edge") else "Newton's step inside"
    caption = f"region: {'hard case, ' if facts.detail.get('hard_case') else ''}{said}"
    before, after = (tex(facts.detail.get(name, math.nan), 3) for name in ("radius", "radius_after"))
    region = Formula(caption, r"|\Delta\theta|\leq\Delta", rf"\Delta={before},\ \mathrm{{then}}\ {after}", 4)
    return [region, _second_order(facts, "trust-region step", when, r"(H+\mu I)^{-1}", _damping(facts))]


def _newton_cg(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    products = int(facts.detail.get("products", 0))
    name = f"Newton–CG step of {products} product{'' if products == 1 else 's'}"
    if not facts.detail.get("negative") or facts.detail.get("escape"):
        # conjugate gradients end before the system is solved to the last digit
        sign = r"\approx" if facts.detail.get("residual", 0.0) > SOLVED else "="
        return [_second_order(facts, name, when, r"(H+\mu I)^{-1}", _damping(facts), "step_factor", sign)]
    curvature = facts.detail.get("curvature", math.nan)
    left, right = r"d^{\top}(H+\mu I)d\leq 0", rf"d^{{\top}}Hd/|d|^2={tex(curvature)}"
    exit_ = Formula("conjugate gradients end at negative curvature", left, right, 4)
    return [exit_, _second_order(facts, name, when, "", "", "step_factor")]


def _lbfgs(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    pairs, seen = (int(facts.detail.get(name, 0)) for name in ("pairs", "evaluations"))
    caption = f"line search: {seen} evaluation{'' if seen == 1 else 's'}"
    slope = rf"g^{{\top}}d={tex(facts.detail.get('slope', math.nan))}"
    search = Formula(caption, r"d={-}B^{-1}\nabla L", rf"{slope},\ a={tex(facts.detail.get('step_factor', 0.0), 3)}", 4)
    name = f"L-BFGS step from {pairs} pair{'' if pairs == 1 else 's'}"
    return [search, _second_order(facts, name, when, r"B^{-1}", "", "step_factor")]


def _damping(facts: Explanation) -> str:
    return rf"\mu={tex(facts.detail.get('damping', facts.damping))}"


def _second_order(
    facts: Explanation, name: str, when: str, matrix: str, number: str = "", searched: str = "", sign: str = "="
) -> Formula:
    """A step -matrix gradient ("": along a direction s that is none); number: what is said beside its length; searched:
    the detail that shortened it; sign: between the step and what it is.

    Where the gradient does not lead along the most negative curvature, a part along its direction v is added."""
    t = facts.step
    factor = "" if facts.learning_rate == 1.0 else r"\alpha\,"
    escape = facts.detail.get("escape", 0.0)
    shortened = escape != facts.learning_rate if escape else facts.detail.get(searched, 1.0) != 1.0
    factor += (r"a^2" if escape else r"a\,") if shortened else ""
    part = rf"-\textcolor{{newton}}{{{factor}{matrix}\nabla L}}" if matrix else rf"+\textcolor{{newton}}{{{factor}s}}"
    left = rf"\theta_{{{t + 1}}}{sign}\theta_{{{t}}}{part}"
    left += rf"+\textcolor{{newton}}{{{tex(escape, 3)}\,v_{{\min}}}}" if escape else ""
    brief = rf"\textcolor{{newton}}{{|\Delta\theta|}}={_taken(facts)}"
    right = rf"{number},\ {brief}" if number else brief
    uphill = ": goes uphill" if facts.uphill else ""
    return Formula(f"{name}, {when}{uphill}", left, right, 9, "bad" if facts.uphill else "text3", brief)


def _any(facts: Explanation, optimizer: Any, when: str) -> list[Formula]:
    t = facts.step
    left = rf"\theta_{{{t + 1}}}=\theta_{{{t}}}+\textcolor{{gradient}}{{\Delta\theta}}"
    return [Formula(f"{facts.method.replace('_', ' ')} step, {when}", left, rf"|\Delta\theta|={_taken(facts)}", 9)]


_METHODS: dict[str, Callable[[Explanation, Any, str], list[Formula]]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "newton": _newton,
    "damped_newton": _newton,
    "saddle_free_newton": _saddle_free,
    "gauss_newton": _gauss_newton,
    "trust_region": _trust_region,
    "newton_cg": _newton_cg,
    "lbfgs": _lbfgs,
}

# ------------------------------------------------------------------------------------------------- beside, predicted


def _newton_beside(facts: Explanation) -> Formula:
    assert facts.newton_step is not None
    matrix = r"(H+\mu I)^{-1}" if facts.damping else r"H^{-1}"
    uphill = ": goes uphill" if facts.newton_uphill else ""
    right = rf"\textcolor{{newton}}{{|\Delta\theta_N|}}={tex(_norm(facts.newton_step))}"
    left = rf"\textcolor{{newton}}{{\Delta\theta_N}}={{-}}{matrix}\nabla L"
    full = " of the full loss" if facts.rows is not None and not facts.of_batch else ""
    return Formula(f"Newton step{full}, not taken{uphill}", left, right, 5, "bad" if facts.newton_uphill else "text3")


def _gradient_beside(facts: Explanation) -> Formula:
    spectrum = facts.spectrum
    over = ""
    if spectrum is not None and spectrum.values.any():
        over = r"/\lambda_{1}" if spectrum.largest >= -spectrum.smallest else r"/|\lambda_{\min}|"
    right = rf"\textcolor{{gradient}}{{|\Delta\theta_g|}}={tex(_norm(facts.gradient_step))}"
    left = rf"\textcolor{{gradient}}{{\Delta\theta_g}}={{-}}\nabla L{over}"
    return Formula("gradient step, not taken", left, right, 5)


def _predicted(facts: Explanation, optimizer: Any) -> Formula:
    left = r"\Delta L\approx g^{\top}\Delta\theta+½\Delta\theta^{\top}H\Delta\theta"
    if facts.method == "sgd" and not _shaped(optimizer):
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
    return numbers.short(x, digits)


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
