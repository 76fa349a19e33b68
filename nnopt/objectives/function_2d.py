"""Functions of two parameters: the classics, each with the one thing that it shows about optimization.

Sources: [JY] Jamil and Yang, "A literature survey of benchmark functions for global optimisation problems" (2013);
[MGH] Moré, Garbow and Hillstrom, "Testing unconstrained optimization software" (1981). Minima that have no closed
form were computed with 40 digits and rounded.
"""

from __future__ import annotations

import math
from itertools import product

from nnopt.objectives.functions import Formula, FormulaFunction, Settings, register


def _square(half: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """[-half, half]^2."""
    return ((-half, half), (-half, half))


def _sorted(minima: set[tuple[tuple[float, float], float]]) -> tuple[tuple[tuple[float, float], float], ...]:
    return tuple(sorted(minima, key=lambda minimum: (minimum[1], minimum[0])))


def _rastrigin_minima() -> tuple[tuple[tuple[float, float], float], ...]:
    """All combinations of the minima of one coordinate: t + 10 pi sin(2 pi t) = 0."""
    half = (
        (0.0, 0.0),
        (0.9949586376523348, 0.9949590570932914),
        (1.9899122337085495, 3.9798311905540875),
        (2.984855701039481, 8.95460124148701),
        (3.9797838603007536, 15.91924379246153),
        (4.974691390895051, 24.873722934542226),
    )
    axis = {(sign * t + 0.0, value) for t, value in half for sign in (-1.0, 1.0)}
    return _sorted({((x, y), f + g) for (x, f), (y, g) in product(axis, axis)})


def _ackley_minima() -> tuple[tuple[tuple[float, float], float], ...]:
    """The tip, and 14 of the others with their reflections."""
    octant = (
        (0.0, 0.0, 0.0),
        (0.9521665459501717, 0.0, 2.579927557029872),
        (0.9684776587077244, 0.9684776587077244, 3.57445187725768),
        (1.9589197181217173, 0.0, 4.884065258091154),
        (1.9646166628629864, 0.9824160350791393, 5.381864187490192),
        (1.9744519864841166, 1.9744519864841166, 6.559645375627878),
        (2.964619443112052, 0.0, 6.882582646801293),
        (2.9672595287625643, 0.9891541864816626, 7.180951647715365),
        (2.973139419924383, 1.9821399503814776, 7.9617112746898275),
        (3.9694667433517576, 0.0, 8.616250044048797),
        (3.9709183150642833, 0.9927672061700447, 8.813151774046892),
        (2.9792239546911445, 2.9792239546911445, 9.001093478292008),
        (3.974540178468205, 1.9873106146274968, 9.353039239137804),
        (3.978924750768195, 2.9842137381272384, 10.120350743632672),
        (3.983067699689763, 3.983067699689763, 10.998262102599446),
    )
    signs = (-1.0, 1.0)
    return _sorted(
        {
            ((s * x + 0.0, t * y + 0.0), value)
            for a, b, value in octant
            for x, y in ((a, b), (b, a))
            for s, t in product(signs, signs)
        }
    )


@register
class Rosenbrock(FormulaFunction, Settings, frozen=True, tag="rosenbrock"):
    """(1 - x)^2 + 100 (y - x^2)^2: a curved valley, steep across and almost flat along.

    >>> f = Rosenbrock()
    >>> round(f.value([-1.2, 1.0]), 9), f.value([1.0, 1.0]), f.hessian([1.0, 1.0])
    (24.2, 0.0, array([[ 802., -400.],
           [-400.,  200.]]))
    """

    title = "Rosenbrock"
    teaches = "A curved, narrow valley: gradient descent zigzags for thousands of steps, Newton needs six."
    source = "Rosenbrock (1960); [MGH] 1"
    formula = Formula("(1 - x)**2 + 100*(y - x**2)**2")
    starts_at = (-1.2, 1.0)
    within = ((-2.0, 2.0), (-1.0, 3.0))
    minima_at = (((1.0, 1.0), 0.0),)


@register
class DistillRosenbrock(FormulaFunction, Settings, frozen=True, tag="distill_rosenbrock"):
    """(1 - x)^2 + 20 (3 y - x^2)^2: the valley on which Distill's article shows momentum.

    >>> f = DistillRosenbrock()
    >>> f.value([0.0, 0.0]), f.value([1.0, 1 / 3]), f.gradient([0.0, 0.0])
    (1.0, 0.0, array([-2.,  0.]))
    """

    title = "Rosenbrock, as in Distill"
    teaches = "What momentum changes: 150 steps at rate 0.003 end at 1.18 without it and at 0.000001 with 0.9."
    source = "Goh, Why momentum really works, Distill (2017)"
    formula = Formula("(1 - x)**2 + 20*(3*y - x**2)**2")
    starts_at = (-1.21, 0.853)
    within = ((-2.0, 2.0), (-0.6, 1.4))
    minima_at = (((1.0, 1 / 3), 0.0),)


@register
class Himmelblau(FormulaFunction, Settings, frozen=True, tag="himmelblau"):
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima of equal depth, four saddles, one maximum.

    >>> f = Himmelblau()
    >>> f.value([0.0, 0.0]), [minimum.value for minimum in f.minima]
    (170.0, [0.0, 0.0, 0.0, 0.0])
    """

    title = "Himmelblau"
    teaches = "Four equally good minima; from the middle Newton goes uphill, to the maximum."
    source = "Himmelblau (1972)"
    formula = Formula("(x**2 + y - 11)**2 + (x + y**2 - 7)**2")
    starts_at = (0.0, 0.0)
    within = _square(6.0)
    minima_at = (
        ((3.0, 2.0), 0.0),
        ((-2.805118086952745, 3.131312518250573), 0.0),
        ((-3.779310253377747, -3.2831859912861696), 0.0),
        ((3.5844283403304917, -1.8481265269644036), 0.0),
    )


@register
class Beale(FormulaFunction, Settings, frozen=True, tag="beale"):
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2: plains, walls and one minimum.

    >>> f = Beale()
    >>> f.value([1.0, 1.0]), f.value([3.0, 0.5])
    (14.203125, 0.0)
    """

    title = "Beale"
    teaches = "Flat plains beside steep walls: rates that move on the plain explode at the wall."
    source = "Beale (1958); [MGH] 5"
    formula = Formula("(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2")
    starts_at = (1.0, 1.0)
    within = _square(4.5)
    minima_at = (((3.0, 0.5), 0.0),)


@register
class Saddle(FormulaFunction, Settings, frozen=True, tag="saddle"):
    """x^2 - y^2: the simplest saddle.

    >>> import numpy as np
    >>> f, theta = Saddle(), np.array([1.5, 0.5])
    >>> (theta - np.linalg.solve(f.hessian(theta), f.gradient(theta))).tolist()
    [0.0, 0.0]
    """

    title = "Saddle"
    teaches = "Gradient descent lingers at the saddle and then escapes; Newton jumps right onto it."
    source = "the hyperbolic paraboloid"
    minima_note = "no minimum: unbounded below along y"
    formula = Formula("x**2 - y**2")
    starts_at = (1.5, 0.01)
    within = _square(2.0)


@register
class MonkeySaddle(FormulaFunction, Settings, frozen=True, tag="monkey_saddle"):
    """x^3 - 3 x y^2: a saddle with three ways down, whose Hessian vanishes at the centre.

    >>> f = MonkeySaddle()
    >>> abs(f.hessian([0.0, 0.0])).sum().item(), f.value([-1.0, 0.0]), f.value([1.0, 1.0]), f.value([1.0, -1.0])
    (0.0, -1.0, -2.0, -2.0)
    """

    title = "Monkey saddle"
    teaches = "A saddle that the Hessian does not see: all curvatures are zero at the critical point."
    source = "the monkey saddle"
    minima_note = "no minimum: unbounded below in three directions"
    formula = Formula("x**3 - 3*x*y**2")
    starts_at = (1.2, 0.3)
    within = _square(1.5)


@register
class ThreeHumpCamel(FormulaFunction, Settings, frozen=True, tag="three_hump_camel"):
    """2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2: one global minimum between two shallower ones.

    >>> [round(minimum.value, 4) for minimum in ThreeHumpCamel().minima]
    [0.0, 0.2986, 0.2986]
    """

    title = "Three-hump camel"
    teaches = "Three valleys: with a small rate gradient descent falls into the nearest one, which is not the best."
    source = "[JY] 29"
    formula = Formula("2*x**2 - 1.05*x**4 + x**6/6 + x*y + y**2")
    starts_at = (2.0, 1.5)
    within = _square(2.5)
    minima_at = (
        ((0.0, 0.0), 0.0),
        ((-1.7475523458302888, 0.8737761729151444), 0.2986384422368598),
        ((1.7475523458302888, -0.8737761729151444), 0.2986384422368598),
    )


@register
class SixHumpCamel(FormulaFunction, Settings, frozen=True, tag="six_hump_camel"):
    """(4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2: two global and four local minima.

    >>> [round(minimum.value, 4) for minimum in SixHumpCamel().minima]
    [-1.0316, -1.0316, -0.2155, -0.2155, 2.1043, 2.1043]
    """

    title = "Six-hump camel"
    teaches = "Six valleys of three depths, in symmetric pairs: f(−x, −y) = f(x, y)."
    source = "Dixon and Szegö (1978); [JY] 30"
    formula = Formula("(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (4*y**2 - 4)*y**2")
    starts_at = (-1.9, 0.2)
    within = ((-2.2, 2.2), (-1.3, 1.3))
    minima_at = (
        ((-0.08984201310031806, 0.7126564030207396), -1.0316284534898774),
        ((0.08984201310031806, -0.7126564030207396), -1.0316284534898774),
        ((-1.703606714969981, 0.7960835686726251), -0.21546382438371764),
        ((1.703606714969981, -0.7960835686726251), -0.21546382438371764),
        ((-1.6071047529201972, -0.5686514548841314), 2.1042503103112584),
        ((1.6071047529201972, 0.5686514548841314), 2.1042503103112584),
    )


@register
class Rastrigin(FormulaFunction, Settings, frozen=True, tag="rastrigin"):
    """20 + x^2 - 10 cos(2 pi x) + y^2 - 10 cos(2 pi y): a bowl full of dents, one near every pair of integers.

    >>> f = Rastrigin()
    >>> f.value([0.0, 0.0]), round(f.value([1.0, 2.0]), 6), len(f.minima)
    (0.0, 5.0, 121)
    """

    title = "Rastrigin"
    teaches = "A minimum near every pair of integers: every method that follows the slope stays in the first one."
    source = "Rastrigin (1974); Mühlenbein et al. (1991)"
    minima_note = "the 121 within the bounds are listed; outside there are infinitely many more"
    formula = Formula("20 + x**2 - 10*cos(2*pi*x) + y**2 - 10*cos(2*pi*y)")
    starts_at = (2.3, -1.6)
    within = _square(5.12)
    minima_at = _rastrigin_minima()


@register
class Ackley(FormulaFunction, Settings, frozen=True, tag="ackley"):
    """20 - 20 exp(-0.2 sqrt((x^2 + y^2) / 2)) - exp((cos(2 pi x) + cos(2 pi y)) / 2) + e: a cone in a dented plain.

    The global minimum (0, 0) is the tip of a cone, where f has no gradient: see `FormulaFunction.tip`.

    >>> f = Ackley()
    >>> round(abs(f.value([0.0, 0.0])), 9), f.gradient([0.0, 0.0]), round(f.value([1e-6, 0.0]) / 1e-6, 3)
    (0.0, array([0., 0.]), 2.828)
    """

    title = "Ackley"
    teaches = "Dents all over a plain, and the global minimum is a tip without a gradient: steps there never settle."
    source = "Ackley (1987); [JY] 1"
    minima_note = "those within the bounds are listed; outside there are more"
    formula = Formula("20 - 20*exp(-0.2*sqrt((x**2 + y**2)/2)) - exp((cos(2*pi*x) + cos(2*pi*y))/2) + e")
    tip = 2 * math.pi**2 * math.e - 0.4
    starts_at = (2.7, -1.4)
    within = _square(4.5)
    minima_at = _ackley_minima()


@register
class StyblinskiTang(FormulaFunction, Settings, frozen=True, tag="styblinski_tang"):
    """(x^4 - 16 x^2 + 5 x + y^4 - 16 y^2 + 5 y) / 2: four minima of three depths.

    >>> [round(minimum.value, 2) for minimum in StyblinskiTang().minima]
    [-78.33, -64.2, -64.2, -50.06]
    """

    title = "Styblinski–Tang"
    teaches = "Each parameter chooses its own well: four minima, one of them best, and the nearest is taken."
    source = "Styblinski and Tang (1990)"
    formula = Formula("(x**4 - 16*x**2 + 5*x + y**4 - 16*y**2 + 5*y)/2")
    starts_at = (0.5, -0.5)
    within = _square(5.0)
    minima_at = (
        ((-2.903534027771177, -2.903534027771177), -78.33233140754282),
        ((-2.903534027771177, 2.746802770990837), -64.19561235905536),
        ((2.746802770990837, -2.903534027771177), -64.19561235905536),
        ((2.746802770990837, 2.746802770990837), -50.05889331056788),
    )


@register
class Booth(FormulaFunction, Settings, frozen=True, tag="booth"):
    """(x + 2 y - 7)^2 + (2 x + y - 5)^2: a quadratic of condition number 9, its axes along the diagonals.

    >>> import numpy as np
    >>> f = Booth()
    >>> f.value([1.0, 3.0]), np.linalg.eigvalsh(f.hessian([1.0, 3.0])).round(9)
    (0.0, array([ 2., 18.]))
    """

    title = "Booth"
    teaches = "A quadratic in disguise: condition number 9, and one Newton step is enough."
    source = "[JY] 20"
    formula = Formula("(x + 2*y - 7)**2 + (2*x + y - 5)**2")
    starts_at = (-6.0, 4.0)
    within = _square(10.0)
    minima_at = (((1.0, 3.0), 0.0),)


@register
class Matyas(FormulaFunction, Settings, frozen=True, tag="matyas"):
    """0.26 (x^2 + y^2) - 0.48 x y: a quadratic of condition number 25, its valley along the diagonal.

    >>> import numpy as np
    >>> np.linalg.eigvalsh(Matyas().hessian([0.0, 0.0])).round(9)
    array([0.04, 1.  ])
    """

    title = "Matyas"
    teaches = "A diagonal valley of condition number 25: scaling single parameters, as AdaGrad does, cannot undo it."
    source = "[JY] 71"
    formula = Formula("0.26*(x**2 + y**2) - 0.48*x*y")
    starts_at = (8.0, 3.0)
    within = _square(10.0)
    minima_at = (((0.0, 0.0), 0.0),)


@register
class McCormick(FormulaFunction, Settings, frozen=True, tag="mccormick"):
    """sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1: a tilted washboard in a trough.

    The dents lie on x = y + 1, pi apart in both parameters, and each is deeper by pi than the one above.

    >>> low, high = McCormick().minima
    >>> (high.theta - low.theta).round(6), round(high.value - low.value, 6)
    (array([3.141593, 3.141593]), 3.141593)
    """

    title = "McCormick"
    teaches = "A tilted washboard: plain descent stops in the first dent, momentum rolls over it and ever further down."
    source = "McCormick (1976); [JY] 72"
    minima_note = "the two within the bounds are listed; outside there are infinitely many more, ever lower"
    formula = Formula("sin(x + y) + (x - y)**2 - 1.5*x + 2.5*y + 1")
    starts_at = (3.7, 3.4)
    within = ((-1.5, 4.0), (-3.0, 4.0))
    minima_at = (
        ((-0.5471975511965977, -1.5471975511965979), -1.9132229549810364),
        ((2.5943951023931957, 1.5943951023931955), 1.2283696986087569),
    )

    @property
    def floor(self) -> float:
        """There is none: each dent is lower than the one before."""
        return -math.inf


@register
class GoldsteinPrice(FormulaFunction, Settings, frozen=True, tag="goldstein_price"):
    """A product of two quartics that spans six orders of magnitude within its bounds; four minima.

        f(x, y) = (1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2))
                  (30 + (2 x - 3 y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2))

    >>> f = GoldsteinPrice()
    >>> [minimum.value for minimum in f.minima], f.value([0.0, -1.0]), f.value([-2.0, 2.0])
    ([3.0, 30.0, 84.0, 840.0], 3.0, 956600.0)
    """

    title = "Goldstein–Price"
    teaches = "Values from 3 to a million: no single rate suits both, and only a log scale shows the four minima."
    source = "Goldstein and Price (1971)"
    formula = Formula(
        "(1 + (x + y + 1)**2*(19 - 14*x + 3*x**2 - 14*y + 6*x*y + 3*y**2))"
        "*(30 + (2*x - 3*y)**2*(18 - 32*x + 12*x**2 + 48*y - 36*x*y + 27*y**2))"
    )
    starts_at = (-1.0, 0.8)
    within = _square(2.0)
    minima_at = (
        ((0.0, -1.0), 3.0),
        ((-0.6, -0.4), 30.0),
        ((1.8, 0.2), 84.0),
        ((1.2, 0.8), 840.0),
    )


@register
class Ripple(FormulaFunction, Settings, frozen=True, tag="ripple"):
    """-sin(r)/r + r^2/100 with r = 10 sqrt(x^2 + y^2) + 0.01: a ring-shaped plateau around the minimum.

    The centre is the tip of a very flat cone (slope 0.035), where f has no gradient: see `FormulaFunction.tip`.

    >>> f = Ripple()
    >>> f.gradient([0.0, 0.0]), round(f.value([0.0, 0.0]), 4), round(f.value([0.66335, 0.0]), 4)
    (array([0., 0.]), -1.0, 0.3883)
    """

    title = "Ripple"
    teaches = "A ring on which the slope all but vanishes: plain descent rests there, momentum rolls on to the centre."
    source = "lilipads, gradient_descent_viz (“plateau”)"
    minima_note = "around the centre lies a circle of minima: radius 0.66335, value 0.38829"
    formula = Formula(
        "-sin(10*sqrt(x**2 + y**2) + 0.01)/(10*sqrt(x**2 + y**2) + 0.01) + 0.01*(10*sqrt(x**2 + y**2) + 0.01)**2"
    )
    shown = "f(x, y) = −sin(r)/r + 0.01 r²,  r = 10 √(x² + y²) + 0.01"
    tip = 35.332333339285695
    starts_at = (1.5, 1.5)
    within = _square(2.0)
    minima_at = (((0.0, 0.0), -0.9999823334166665),)
