"""Colour bands: published CIELAB values, an oracle that measures every distance, and grey stays neutral."""

from __future__ import annotations

import numpy as np
import pytest

from imblens.extraction import BANDS, band_of, cielab

NAMES = list(BANDS)


@pytest.mark.parametrize(
    ("rgb", "lab"),  # sRGB under D65, as published by Lindbloom's calculator
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
    ],
)
def test_cielab_is_the_published_one(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    np.testing.assert_allclose(cielab(np.array(rgb)), lab, atol=0.02)


def test_each_reference_is_its_own_band() -> None:
    references = np.array(list(BANDS.values()), dtype=np.uint8)
    assert [NAMES[i] for i in band_of(references)] == NAMES
    assert len(NAMES) == 14


def test_the_nearest_reference_wins_everywhere() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(40, 25, 3), dtype=np.uint8)
    references = [cielab(np.array(rgb)) for rgb in BANDS.values()]
    expected = [
        int(np.argmin([np.linalg.norm(cielab(pixel) - reference) for reference in references]))
        for pixel in pixels.reshape(-1, 3)
    ]
    assert band_of(pixels).ravel().tolist() == expected
    assert band_of(pixels).ravel().tolist() == expected  # now from the table
    assert band_of(pixels).dtype == np.uint8


def test_grey_is_black_gray_or_white() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    found = [NAMES[i] for i in band_of(levels)]
    assert set(found) == {"black", "gray", "white"}
    changes = [(a, b) for a, b in zip(found, found[1:], strict=False) if a != b]
    assert changes == [("black", "gray"), ("gray", "white")]


@pytest.mark.parametrize(
    ("rgb", "band"),
    [
        ((160, 205, 240), "light blue"),  # a pale sky
        ((90, 50, 20), "brown"),
        ((255, 165, 0), "orange"),
        ((0, 128, 0), "green"),
        ((255, 182, 193), "light red"),
        ((0, 0, 128), "dark blue"),
        ((255, 255, 0), "yellow"),
        ((144, 238, 144), "light green"),
        ((0, 70, 10), "dark green"),
        ((178, 34, 34), "red"),
        ((30, 80, 220), "blue"),
    ],
)
def test_well_known_colours_get_the_name_people_give_them(rgb: tuple[int, ...], band: str) -> None:
    assert NAMES[int(band_of(np.array([rgb], dtype=np.uint8))[0])] == band
