"""Who may draw in a frame: shares of the time, turns, and nobody waits for ever."""

from __future__ import annotations

import itertools

import pytest

from nnopt_gui.shell.share import LEAST, MOST, OVERDUE, WORKING, DrawingShare

FRAME = 0.016


def played(share: DrawingShare, costs: dict[str, float], seconds: float, part: float | None) -> dict[str, list[float]]:
    """When each panel drew in so many seconds in which all of them always have something new."""
    drew: dict[str, list[float]] = {name: [] for name in costs}
    now = 0.0
    interval = FRAME
    while now < seconds:
        share.begin(interval, part)
        spent = 0.0
        for name in share.order(costs):
            if not share.may_draw(name):
                break
            share.drew(name)
            drew[name].append(now)
            spent += costs[name]
        share.painted(spent)
        interval = max(FRAME, spent)
        now += interval
    return drew


def test_without_a_limit_all_draw_in_every_frame() -> None:
    drew = played(DrawingShare(), dict.fromkeys("abcd", 0.004), 1.0, None)
    assert {len(times) for times in drew.values()} == {len(drew["a"])}
    assert len(drew["a"]) >= 60


def test_panels_draw_in_turns_and_take_no_more_than_their_share() -> None:
    costs = dict.fromkeys("abcd", 0.006)
    drew = played(DrawingShare(), costs, 4.0, WORKING)
    counts = [len(times) for times in drew.values()]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) * 0.006 / 4.0 == pytest.approx(WORKING, rel=0.1)


def test_a_frame_that_draws_nothing_is_charged_to_nobody() -> None:
    share = DrawingShare()
    for _ in range(50):
        share.begin(FRAME, WORKING)
        share.painted(0.1)  # something else painted for long
    share.begin(FRAME, WORKING)
    assert share.may_draw("a")


def test_what_can_be_owed_is_bounded() -> None:
    share = DrawingShare()
    share.begin(FRAME, WORKING)
    share.drew("a")
    share.painted(60.0)
    frames = 0
    while not share.may_draw("b") or frames == 0:
        share.begin(FRAME, 1.0)
        frames += 1
    assert frames * FRAME <= -LEAST + MOST + FRAME


@pytest.mark.parametrize("cost", [0.02, 0.1])
def test_no_panel_waits_longer_than_half_a_second_however_slow_drawing_is(cost: float) -> None:
    drew = played(DrawingShare(), dict.fromkeys("abcde", cost), 10.0, 0.02)
    for times in drew.values():
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert max(gaps[1:]) <= max(0.5, OVERDUE + cost) + FRAME  # at first it does not know what drawing costs
