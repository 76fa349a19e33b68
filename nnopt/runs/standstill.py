"""Whether a run stands still for good: updates that change no parameter, from a state that was there before.

An update is a pure function of theta, slots, learning rate and batch. Where all of these come again, so does all that
follows: nothing more happens, however long the run goes on. Asked by the run's loop, where theta has not changed.
"""

from __future__ import annotations

import msgspec
import numpy as np

from nnopt.optimizers.base import Local, update_of
from nnopt.optimizers.schedules import Schedule
from nnopt.runs.stage import Arrival, Stage
from nnopt.runs.state import State


class Standstill(msgspec.Struct, frozen=True, gc=False):
    """The states since theta changed last, as far as they must be known. first: the state that is waited for; stands:
    updates since it; age: those after which a later one is waited for; stuck: whether it has come again for good.

    State may follow state in a circle of any length: a damping that is raised, lowered and raised. The one that is
    waited for is the 1st, 2nd, 4th, 8th, ... (Brent 1980): one is kept, and each is compared once.

    With full batches, it has come again if theta and slots have, bit for bit. Single examples, in a new order every
    epoch: if they were the same at every step of a whole epoch, in which every example was asked. Larger mini-batches
    are others for ever, and one of them may give a step: the run goes on. The learning rate must be the same from the
    state on (`Schedule.settled`), as another one may give a step, too.

    >>> import nnopt
    >>> stage = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(), [8.0], steps=1).stage_at(0)
    >>> state = stage.init([8.0])
    >>> Standstill(state).after(State(1, state.theta, state.slots), stage.schedule, every=1).stuck
    True
    """

    first: State
    age: int = 1
    stands: int = 0
    stuck: bool = False

    def after(self, state: State, schedule: Schedule, every: int) -> Standstill:
        """Once the next state, with the same theta, was reached. every: as `batches.round_of` says."""
        again = self.first.same_bits(msgspec.structs.replace(state, step=self.first.step))
        if not schedule.settled(self.first.step) or (not again and every > 1):
            return Standstill(state)
        if not again and self.stands + 1 == self.age:
            return Standstill(state, 2 * self.age)
        # where the first epoch ends that began no earlier than the state did
        end = (-(-self.first.step // every) + 1) * every
        return Standstill(self.first, self.age, self.stands + 1, again and state.step >= end)


def standing_after(
    standing: Standstill | None, before: State, after: State, schedule: Schedule, every: int
) -> Standstill | None:
    """How a run stands after one more update. standing: before it; every: as `batches.round_of` says. None where a
    parameter has changed, and where batches are never the same again.

    >>> import nnopt
    >>> stage = nnopt.minimize(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5), [8.0], steps=1).stage_at(0)
    >>> start = stage.init([8.0])
    >>> standing_after(None, start, stage.step(start), stage.schedule, 1) is None
    True
    """
    if not every or not unmoved(before, after):
        return None
    return Standstill(after) if standing is None else standing.after(after, schedule, every)


def why_stuck(stage: Stage, arrival: Arrival) -> str:
    """Why the update that leaves a state changes no parameter, in words.

    >>> import nnopt
    >>> stage = Stage(nnopt.functions.formula("x"), nnopt.optimizers.Newton())
    >>> why_stuck(stage, stage.arrive(stage.init([8.0])))
    'the method makes no step'
    """
    state, gradient = arrival.state, arrival.gradient
    rate = stage.learning_rate(state.step)
    with np.errstate(all="ignore"):
        local = Local(stage.objective, state.theta, arrival.value, gradient, arrival.rows)
        update = update_of(stage.optimizer)(local, state.slots, rate)
    if update.step.any():
        return "its steps are too short to change a parameter"
    if not rate:
        return "the learning rate is 0"
    if not gradient.any():
        return "the gradient is 0"
    refused = (update.detail or {}).get("accepted", 1.0) == 0.0
    return "no step lowers the loss" if refused else "the method makes no step"


def unmoved(before: State, after: State) -> bool:
    """Whether an update has left every parameter as it was, bit for bit.

    >>> import nnopt
    >>> stage = Stage(nnopt.functions.get("bowl"), nnopt.optimizers.SGD(lr=0.5))
    >>> start = stage.init([8.0])
    >>> unmoved(start, start), unmoved(start, stage.step(start))
    (True, False)
    """
    return np.array_equal(before.theta.view(np.int64), after.theta.view(np.int64))


__all__ = ["Standstill", "standing_after", "unmoved", "why_stuck"]
