"""The hot loop: updates made one after another and written to the log. Used by `Run` and `minimize` alike.

Every state is evaluated on arrival, once; what was evaluated is kept for the update that leaves it. Nothing is made per
step but the update, the state and its slots. An interrupt or an exception anywhere leaves the last state published.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nnopt.optimizers.base import Local, Rows, Vector, update_of
from nnopt.optimizers.linear import length_of
from nnopt.optimizers.stopping import Watch
from nnopt.runs.era import Era
from nnopt.runs.history import History, row_of
from nnopt.runs.log import COLUMNS
from nnopt.runs.stage import Arrival, Stage
from nnopt.runs.standstill import Standstill, standing_after, why_stuck
from nnopt.runs.state import Memory, Outcome, State
from nnopt.runs.stationary import goes_on, why

RUNNING = Outcome("running", 0)
#: place of the validation loss in a row
VALIDATION = COLUMNS.index("validation_loss")


class Loop:
    """The head of a run and the log behind it.

    history: its log. limit: the step at which the run stops.

    >>> from nnopt.objectives import functions
    >>> from nnopt.optimizers import get
    >>> stage = Stage(functions.get("bowl"), get("sgd")(lr=0.5))
    >>> loop = Loop(Era(stage.init([8.0]), stage, None, None), limit=3)
    >>> loop.advance(100), loop.head.value, loop.history.outcome.kind
    (3, 0.5, 'stopped')
    """

    def __init__(self, first: Era, limit: int, memory: Memory | None = None) -> None:
        self.history = History(first, memory or Memory())
        self.limit = limit
        self.step_norm = 0.0
        self._said = ""
        self._head: tuple[State, Rows | None, float, Vector] = first.stage.arrive(first.state)
        self._watch = first.watch
        self._standstill: Standstill | None = None
        self._publish(first.stage, first.watch)

    @property
    def head(self) -> Arrival:
        """The newest state, with the loss of its batch evaluated."""
        return Arrival(*self._head)

    @property
    def stage(self) -> Stage:
        """What determines the next update."""
        return self.history._eras[-1].stage

    def advance(self, steps: int, should_stop: Callable[[], bool] | None = None) -> int:
        """Make up to `steps` updates, fewer if the run ends or `should_stop()` (asked before each) is true.

        Returns the number made. Whatever objective or method raise goes through; the state before it stays.
        """
        history = self.history
        start = self._head[0].step
        history.length = start + 1
        history._watch = self._watch
        target = min(start + steps, self.limit)
        with np.errstate(all="ignore"):
            while self._head[0].step < target and history.outcome.running:
                if not self._block(target, should_stop):
                    break
        return self._head[0].step - start

    def begin(self, era: Era, head: Arrival) -> None:
        """Go on from the newest step under another stage; its row is written anew. Nothing in here can fail half-way
        but for lack of memory: `head` was evaluated before."""
        self.history._begin(era)
        self._head = head
        self._standstill = None
        self._publish(era.stage, era.watch)

    def judge(self) -> None:
        """Say anew how the run stands at its head."""
        row = row_of(self.stage, self.head, self.step_norm)
        self.history.outcome = self._judged(self.stage, row)

    def fork(self, step: int) -> Loop:
        """An independent loop whose head is an earlier state; the log up to it is copied, not recomputed."""
        source = self.history
        stage = source.stage_at(step)
        state = source.seek(step)
        watch = source._watch_before(step)
        norm = source.row(step)["step_norm"]
        copy = Loop.__new__(Loop)
        copy.history = source._copy(step)
        copy.limit = self.limit
        copy.step_norm = norm
        # what the method said last, which is nothing if it fell silent after its last note
        copy._said = source.stage_at(step - 1).update(source.seek(step - 1)).note if step else ""
        copy._head = stage.arrive(state)
        copy._standstill = source._standstill_at(step)
        copy._publish(stage, watch)
        return copy

    def _publish(self, stage: Stage, watch: Watch) -> None:
        """Write the head's row and state, judge it, and let readers see it. watch: what was seen before."""
        history, head = self.history, self.head
        state = head.state
        history._make_room(state.step)
        history._store(state)
        row = row_of(stage, head, self.step_norm)
        history._table.write(state.step, row)
        self._watch = stage.rule.update(watch, state.step, row[VALIDATION])
        if self._watch is not watch:
            history._watches.put(state.step, self._watch)
        history.outcome = self._judged(stage, row)
        history.length = state.step + 1
        history._watch = self._watch

    def _block(self, target: int, should_stop: Callable[[], bool] | None) -> bool:
        """Updates until `target` or until the log must grow; False when asked to stop."""
        history, stage, era = self.history, self.stage, self.history._eras[-1]
        target = min(target, history._make_room(self._head[0].step + 1))
        table, frames, ring = history._table, history._frames, history._ring
        losses, norms, rates, trainings, validations, lengths, penalties = table.views
        row_mask, row_shift = (1 << table.shift) - 1, table.shift
        frame_mask, frame_shift, pack, packed = (1 << frames.shift) - 1, frames.shift, era.layout.pack, frames.array
        ring_mask, width = len(ring) - 1, era.layout.width
        objective, evaluate, update = stage.objective, stage.evaluate, update_of(stage.optimizer)
        schedule, base, factor, constant = stage.schedule, stage.base_rate, stage.schedule.factor, stage.constant
        every, full, alone, measured_at = stage.every, stage.full, stage.round > 1, stage.measures
        held_out, watch, see, keep = stage.validation is not None, self._watch, stage.rule.update, history._watches.put
        converged_below = stage.gradient_norm
        longest = stage.explosion * era.scale
        sqrt = math.sqrt
        state, batch, value, gradient = self._head
        step, theta, slots = state.step, state.theta, state.slots
        norm, standing = sqrt(gradient.dot(gradient)), self._standstill
        rate = base if constant else base * factor(step)
        # one for all steps: a method reads it during its update only
        local = Local(objective, theta, value, gradient, batch)
        while step < target:
            if should_stop is not None and should_stop():
                return False
            here, change = value, update(local, slots, rate)
            move = change.step
            theta = theta + move
            theta.setflags(write=False)
            batch, value, gradient = evaluate(theta, step + 1)
            local.theta, local.value, local.gradient = theta, value, gradient
            if batch is not None:
                local.take(batch)
            if change.note != self._said:
                self._said = change.note
                if change.note:
                    history._note(step, change.note)
            step += 1
            slots = change.slots
            before, norm_before = state, norm
            state = State(step, theta, slots)
            length = sqrt(move.dot(move))
            norm = sqrt(gradient.dot(gradient))
            ended = not (length < longest and value - value == 0.0 and norm - norm == 0.0)
            if ended:
                # once more, without overflow on the way
                length, norm = length_of(move), length_of(gradient)
                ended = not (length < longest and value - value == 0.0 and norm - norm == 0.0)
            # where theta is the same, so is its full loss: a comparison of floats tells almost all others
            if alone or (full and value == here and norm == norm_before):
                standing = standing_after(standing, before, state, schedule, stage.round)
                ended = ended or (standing is not None and standing.stuck)
            else:
                standing = None
            if not constant:
                rate = base * factor(step)
            ring[step & ring_mask] = state
            if not step & frame_mask:
                pack(theta, slots, packed[step >> frame_shift, :width])
            stored = not step & row_mask
            if stored:
                index = step >> row_shift
                losses[index] = value
                norms[index] = norm
                rates[index] = rate
                lengths[index] = length
                if full:
                    trainings[index] = value
            judged_norm = norm if full else math.inf
            if measured_at and not step % every:
                measured = stage.measure(Arrival(state, batch, value, gradient))
                judged_norm = measured.gradient_norm
                if stored:
                    trainings[index] = measured.training
                    validations[index] = measured.validation
                    penalties[index] = measured.penalty
                if held_out:
                    watch = see(watch, step, measured.validation)
                    keep(step, watch)
                    ended = ended or watch.stopped
            if ended or judged_norm < converged_below or step >= self.limit:
                arrival = Arrival(state, batch, value, gradient)
                history.outcome = self._verdict(stage, arrival, norm, length, judged_norm, watch, standing)
            # from here on the step is made: head first, then what readers see
            self.step_norm, self._head, self._watch = length, (state, batch, value, gradient), watch
            self._standstill = standing
            history.length = step + 1
            history._watch = watch
            if ended or (judged_norm < converged_below and not history.outcome.running):
                break
        return True

    def _judged(self, stage: Stage, row: tuple[float, ...]) -> Outcome:
        step = self._head[0].step
        judged = row[1] if stage.full else math.inf
        if not stage.full and step % stage.every == 0:
            judged = stage.measure(self.head).gradient_norm
        # where a change was made, the length of the step that led there says nothing about what follows
        length = self.step_norm if step > self.history._eras[-1].start else 0.0
        return self._verdict(stage, self.head, row[1], length, judged, self._watch, self._standstill)

    def _verdict(
        self,
        stage: Stage,
        arrival: Arrival,
        norm: float,
        length: float,
        judged: float,
        watch: Watch,
        standing: Standstill | None,
    ) -> Outcome:
        era, step, value = self.history._eras[-1], arrival.state.step, arrival.value
        fault = ""
        if not math.isfinite(value):
            fault = f"the loss became {'infinite' if value > 0 else 'minus infinite' if value < 0 else 'not a number'}"
        elif math.isinf(length):
            fault = "the step became infinite"
        elif math.isnan(length) or math.isnan(norm):
            fault = "the parameters or the gradient became not a number"
        elif math.isinf(norm):
            fault = "the gradient became infinite"
        elif length > stage.explosion * era.scale:
            fault = f"the step exploded, its length is {length:.1e}"
        if fault:
            return Outcome("diverged", step, f"diverged at step {step}: {fault}")
        if judged < stage.gradient_norm and not goes_on(stage, arrival):
            return Outcome("converged", step, f"converged at step {step}: {why(stage, arrival.state.theta, judged)}")
        if standing is not None and standing.stuck:
            return Outcome("stuck", step, f"stopped at step {step}, stuck: {why_stuck(stage, arrival)}")
        if watch.stopped:
            return Outcome("stopped_early", step, f"stopped early at step {step}: {stage.rule.reason(watch)}")
        if step >= self.limit:
            return Outcome("stopped", step, f"stopped at step {step}: all its steps are made")
        return Outcome("running", step)
