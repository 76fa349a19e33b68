"""Batches: pure functions of seed and step, and fair to every example."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_strategies import all_batches

from nnopt.errors import SettingsError
from nnopt.optimizers.batches import Batches, Full, Mini, Single

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**63 - 1)


@given(sizes, st.integers(1, 50), seeds)
def test_an_epoch_without_replacement_sees_every_example_once(n, size, seed):
    sampler = Mini(size=size).sampler(n, seed)
    if size >= n:
        assert sampler.rows(0) is None
        return
    for epoch in range(3):
        first = epoch * sampler.steps_per_epoch
        batches = [sampler.rows(t) for t in range(first, first + sampler.steps_per_epoch)]
        assert sorted(np.concatenate(batches).tolist()) == list(range(n))
        assert {len(batch) for batch in batches[:-1]} <= {size}
        assert sampler.epoch(first) == epoch


@given(all_batches, sizes, seeds, st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_the_batch_of_a_step_does_not_depend_on_what_was_drawn_before(batches, n, seed, steps):
    used, fresh = batches.sampler(n, seed), batches.sampler(n, seed)
    expected = {}
    for t in range(301):
        rows = fresh.rows(t)
        expected[t] = None if rows is None else rows.tolist()
    for t in steps:
        rows = used.rows(t)
        assert (None if rows is None else rows.tolist()) == expected[t]


@given(sizes, st.integers(1, 50), seeds, st.integers(0, 100))
def test_draws_with_replacement_are_examples_and_as_many_as_asked(n, size, seed, t):
    rows = Mini(size=size, replacement=True).sampler(n, seed).rows(t)
    assert rows.shape == (size,)
    assert rows.dtype == np.intp
    assert 0 <= rows.min() <= rows.max() < n
    assert not rows.flags.writeable


def test_draws_with_replacement_are_even():
    sampler = Mini(size=10, replacement=True).sampler(7, seed=3)
    counts = np.bincount(np.concatenate([sampler.rows(t) for t in range(1000)]), minlength=7)
    # 10,000 draws on 7 examples: standard deviation 35 around 1429
    assert np.abs(counts - 10_000 / 7).max() < 5 * 35


def test_without_replacement_every_batch_is_as_likely_as_every_other():
    # the 10 pairs of 5 examples, in the first place of 5000 epochs: standard deviation 21 around 500
    sampler = Mini(size=2).sampler(5, seed=4)
    pairs = Counter(tuple(sorted(sampler.rows(t).tolist())) for t in range(0, 5000 * 3, 3))
    assert sorted(pairs) == list(combinations(range(5), 2))
    assert max(abs(count - 500) for count in pairs.values()) < 5 * 21


@pytest.mark.parametrize("name", Batches.registry.names())
def test_no_way_to_batch_draws_what_is_no_example_or_forgets_one(name):
    sampler = Batches.registry.get(name)().sampler(23, seed=2)
    steps = 40 * sampler.steps_per_epoch
    drawn = [np.arange(23) if (rows := sampler.rows(t)) is None else rows for t in range(steps)]
    counts = np.bincount(np.concatenate(drawn), minlength=23)
    # 40 passes: each example once in each, or as often on average
    assert len(counts) == 23
    assert (counts > 0).all()
    assert counts.sum() == pytest.approx(23 * sampler.epoch(steps), rel=1e-12)


def test_single_examples_come_in_a_new_order_every_epoch():
    sampler = Single().sampler(30, seed=1)
    first, second = ([int(sampler.rows(t)[0]) for t in range(e * 30, e * 30 + 30)] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert sampler.epoch(45) == 1.5


def test_other_seeds_give_other_batches():
    orders = {tuple(Mini(size=20).sampler(40, seed).rows(0).tolist()) for seed in range(50)}
    assert len(orders) == 50


def test_full_batches_are_no_selection_at_all():
    sampler = Full().sampler(10, seed=0)
    assert sampler.rows(5) is None
    assert sampler.epoch(5) == 5.0


def test_batches_may_be_asked_for_on_several_threads():
    sampler = Single().sampler(50, seed=9)
    expected = [int(Single().sampler(50, seed=9).rows(t)[0]) for t in range(500)]
    wrong: list[int] = []

    def look(order: np.ndarray) -> None:
        wrong.extend(int(t) for t in order if int(sampler.rows(int(t))[0]) != expected[t])

    threads = [threading.Thread(target=look, args=(np.random.default_rng(k).permutation(500),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_batch_needs_at_least_one_example():
    with pytest.raises(SettingsError, match="expected a number >= 1 and <= 1000000, got 0"):
        Mini(size=0)
