"""Loops count for whoever listens; without a listener nothing happens."""

from __future__ import annotations

import threading

from imblens.base.progress import line, listening, share_done, tracked


def test_inner_loops_are_parts_of_the_item_of_the_outer_one() -> None:
    shares = []
    with listening() as loops:
        for _ in tracked(range(3), "runs"):
            for _ in tracked(iter("abcd"), lambda letter: f"lens {letter}", 4):
                shares.append(round(share_done(loops) * 12))
        assert loops == []
    assert shares == list(range(12))


def test_a_loop_that_ends_early_is_forgotten_and_one_of_unknown_length_shows_its_time() -> None:
    with listening() as loops:
        for _ in tracked(range(9), "early"):
            break
        assert loops == []
        for _ in tracked((c for c in "ab"), "words"):
            assert line(loops, loops[0].started + 70) == "words, 1 min 10 s so far"


def test_only_the_thread_that_listens_counts() -> None:
    with listening() as loops:
        other = threading.Thread(target=lambda: seen.extend(len(loops) for _ in tracked(range(2), "elsewhere")))
        seen: list[int] = []
        other.start()
        other.join()
    assert seen == [0, 0] and list(tracked("xy", "nobody")) == ["x", "y"]
