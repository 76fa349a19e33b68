"""Methods and runs that the tests of the step panel and of its formulas share."""

from nnopt import optimizers
from nnopt.objectives import functions
from nnopt.runs.experiment import Experiment, FunctionProblem, Method
from nnopt.runs.run import Run

FIRST_ORDER = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
SECOND_ORDER = (
    "newton", "damped_newton", "saddle_free_newton", "gauss_newton", "trust_region", "newton_cg", "lbfgs",
)  # fmt: skip
METHODS = (*FIRST_ORDER, *SECOND_ORDER)
STEP = 12


def saddle(method: str = "newton", start: tuple[float, ...] = (0.0, 0.0)) -> Run:
    """Newton's method on Himmelblau's function, from where it goes uphill."""
    problem = FunctionProblem(functions.get("himmelblau"), start)
    run = Run(Experiment(problem, (Method(optimizers.get(method)()),), steps=8))
    run.advance(8)
    return run
