"""Functions of one parameter, for the board: a bowl, two wells, many minima, a plateau, a wall beside a plain."""

from __future__ import annotations

from nnopt.objectives.functions import Formula, FormulaFunction, Settings, register


@register
class Bowl(FormulaFunction, Settings, frozen=True, tag="bowl"):
    """x^2 / 2: the quadratic model is the function itself.

    >>> f = Bowl()
    >>> f.value_and_gradient([3.0]), f.hessian([3.0])
    ((4.5, array([3.])), array([[1.]]))
    """

    title = "Bowl"
    teaches = (
        "One Newton step ends in the minimum; gradient descent shrinks the distance by the factor 1 − lr each step."
    )
    source = "the one-dimensional quadratic"
    formula = Formula("x**2/2", ("x",))
    starts_at = (3.0,)
    within = ((-4.0, 4.0),)
    minima_at = (((0.0,), 0.0),)


@register
class DoubleWell(FormulaFunction, Settings, frozen=True, tag="double_well"):
    """(x^2 - 1)^2 + 3 x / 10 + 2 / 5: two wells of different depth with a hill between them.

    >>> f = DoubleWell()
    >>> f.value([0.0]), f.value([1.0]), f.hessian([0.0])
    (1.4, 0.7, array([[-4.]]))
    """

    title = "Double well"
    teaches = "Where a run ends depends on where it starts, and between the wells Newton climbs to the hill's top."
    source = "Landau's double well, tilted"
    formula = Formula("(x**2 - 1)**2 + 0.3*x + 0.4", ("x",))
    starts_at = (1.6,)
    within = ((-1.9, 1.9),)
    minima_at = (((-1.0355787140888537,), 0.09457151625608402), ((0.9601495555191055,), 0.6941464810282628))


@register
class ManyMinima(FormulaFunction, Settings, frozen=True, tag="many_minima"):
    """A wide bowl with two waves on it: several minima of different depth, one of them global.

    f(x) = x^2 / 16 - 0.8 cos(2.5 x) - sin(x) + 2

    >>> [round(minimum.value, 2) for minimum in ManyMinima().minima]
    [0.9, 1.1, 1.76, 2.16, 3.72]
    """

    title = "Many minima"
    teaches = "The cartoon of a training loss: which of the minima is reached depends on start, rate and momentum."
    source = "the usual board drawing of a non-convex loss, as a formula"
    formula = Formula("x**2/16 - 0.8*cos(2.5*x) - sin(x) + 2", ("x",))
    starts_at = (-6.0,)
    within = ((-6.5, 6.5),)
    minima_at = (
        ((2.312049712667491,), 0.8955867959965849),
        ((0.19919710917831057,), 1.1017631002070114),
        ((-4.869512021118047,), 1.755190813846413),
        ((-2.622745194198254,), 2.1555773905023106),
        ((4.949271282143917,), 3.7179126731893093),
    )


@register
class Plateau(FormulaFunction, Settings, frozen=True, tag="plateau"):
    """1 - exp(-x^2 / 2): flat far from its only minimum, then a drop; its curvature is negative for |x| > 1.

    >>> f = Plateau()
    >>> f.value([0.0]), f.hessian([0.0]), f.hessian([1.0])
    (0.0, array([[1.]]), array([[0.]]))
    """

    title = "Plateau"
    teaches = (
        "On the plateau the gradient all but vanishes and Newton walks away from the minimum (negative curvature)."
    )
    source = "a Gaussian, upside down"
    formula = Formula("1 - exp(-x**2/2)", ("x",))
    starts_at = (3.4,)
    within = ((-4.5, 4.5),)
    minima_at = (((0.0,), 0.0),)


@register
class SteepBesideFlat(FormulaFunction, Settings, frozen=True, tag="steep_beside_flat"):
    """exp(-3 x) + x / 5: a wall beside a plain; convex, minimum at ln(15) / 3.

    >>> f = SteepBesideFlat()
    >>> curvatures = [f.hessian([x]).item() for x in (-1.0, 0.0, f.minima[0].theta[0])]
    >>> [round(curvature, 1) for curvature in curvatures]
    [180.8, 9.0, 0.6]
    """

    title = "Steep beside flat"
    teaches = (
        "No single learning rate fits: what is stable at the wall crawls on the plain, and Newton overshoots from it."
    )
    source = "an exponential plus a line"
    formula = Formula("exp(-3*x) + x/5", ("x",))
    starts_at = (-1.0,)
    within = ((-1.3, 6.0),)
    minima_at = (((0.9026834003674034,), 0.24720334674014735),)
