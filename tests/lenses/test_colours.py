"""The colours lens: by hand, against a plain loop, laws, edges, and a shortcut that was planted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imblens.data import shapes
from imblens.errors import NotApplicable
from imblens.extraction import band_of, capture
from imblens.lenses import colours
from imblens.run import Head, Part, Run

torch = pytest.importorskip("torch")
BANDS = ["black", "red", "white"]
META = {"colours": {"bands": {"black": "#000000", "red": "#cd2328", "white": "#ffffff"}, "top": 0.1}}


def run_of(count: Any, rgb: Any, labels: Any, classes: list[str], parts: int = 1) -> Run:
    """A run whose images have those band counts (N, 3) and sums of red, green, blue (N, 9), each in ten pixels."""
    count, rgb, labels = np.asarray(count), np.asarray(rgb), np.asarray(labels)
    features = np.random.default_rng(0).normal(size=(len(labels), 2)).astype(np.float32)
    run = Run.from_arrays(train=(features, labels), classes=classes, meta=META)
    pieces = [
        Part(
            features[rows],
            run.train.labels[rows],
            table=pd.DataFrame(
                {"band_count": list(count[rows]), "band_rgb": list(rgb[rows]), "band_present": list(10 * count[rows])}
            ),
        )
        for rows in np.array_split(np.arange(len(labels)), parts)
    ]
    return replace(run, train=replace(run.train, parts=tuple(pieces)))


def drawn(n: int = 60, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = rng.multinomial(9, [0.5, 0.2, 0.3], size=n).astype(np.uint32)
    rgb = (count[:, :, None] * rng.integers(0, 256, size=(n, 3, 3))).reshape(n, 9).astype(np.uint32)
    return count, rgb, np.concatenate([[0, 1, 2], rng.choice(3, size=n - 3, p=[0.7, 0.2, 0.1])])


def test_by_hand() -> None:
    """Cat: 6 black and 2 red of 8, from two images. Dog: 4 white. The black pixels of cat sum to (60, 30, 0)."""
    count = [[4, 0, 0], [2, 2, 0], [0, 0, 4]]
    rgb = [[40, 20, 0, 0, 0, 0, 0, 0, 0], [20, 10, 0, 400, 60, 80, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1000, 980, 960]]
    finding = colours(run_of(count, rgb, [0, 0, 1], ["cat", "dog"]))
    table = finding.tables["colours"].set_index(["class", "band"])
    assert table["share"].tolist() == [0.75, 0.25, 0.0, 0.0, 0.0, 1.0]
    assert table.loc[("cat", "black"), ["red", "green", "blue"]].tolist() == [10.0, 5.0, 0.0]
    assert table.loc[("cat", "red"), ["red", "green", "blue"]].tolist() == [200.0, 30.0, 40.0]
    assert table.loc[("cat", "white"), ["red", "green", "blue"]].isna().all()
    assert table.loc[("cat", "white"), "others"] == 1.0 and table.loc[("dog", "black"), "others"] == 0.75
    assert table["image_count"].tolist() == [2, 2, 2, 1, 1, 1]
    assert finding.summary["bands"]["red"] == {"share": pytest.approx(2 / 12), "colour": "#c81e28"}
    assert any("Fewer than 10 images of cat, dog" in note for note in finding.notes)
    assert finding.lines() == {
        "": "No class relies on a colour by 10 points more than the other classes on average."
    }  # black leads by 75 points, but in two images


def test_against_a_loop_over_pixels() -> None:
    count, rgb, labels = drawn()
    finding = colours(run_of(count, rgb, labels, ["a", "b", "c"]))
    table = finding.tables["colours"]
    for c, name in enumerate(["a", "b", "c"]):
        pixels: list[int] = []
        for row in range(len(labels)):
            if labels[row] == c:
                pixels += [band for band in range(3) for _ in range(count[row, band])]
        shares = [pixels.count(band) / len(pixels) for band in range(3)]
        rows = table[table["class"] == name]
        np.testing.assert_allclose(rows["share"], shares, rtol=1e-12)
        for band in range(3):
            sums = sum(
                rgb[row, 3 * band : 3 * band + 3].astype(float) for row in range(len(labels)) if labels[row] == c
            )
            np.testing.assert_allclose(
                rows.iloc[band][["red", "green", "blue"]].astype(float), sums / pixels.count(band)
            )


def test_shares_sum_to_one_in_every_class_and_archetype() -> None:
    finding = colours(run_of(*drawn(), ["a", "b", "c"]))
    np.testing.assert_allclose(finding.tables["colours"].groupby("class")["share"].sum(), 1)
    cells = finding.tables["colours_archetype"].groupby(["class", "archetype"])
    known = cells["image_count"].first() > 0
    np.testing.assert_allclose(cells["share"].sum()[known], 1)
    assert cells["share"].apply(lambda share: share.isna().all())[~known].all()
    assert cells["image_count"].first().sum() == 60


def test_archetypes_weigh_up_to_their_class() -> None:
    finding = colours(run_of(*drawn(), ["a", "b", "c"]))
    # every image has nine pixels, so images are weights
    cells = finding.tables["colours_archetype"].assign(share=lambda t: t["share"].fillna(0) * t["image_count"])
    sums = cells.groupby(["class", "band"])[["share", "image_count"]].sum()
    expected = finding.tables["colours"].set_index(["class", "band"])["share"]
    np.testing.assert_allclose((sums["share"] / sums["image_count"]).loc[expected.index], expected)


def test_order_parts_and_repetition_change_nothing() -> None:
    count, rgb, labels = drawn()
    whole = colours(run_of(count, rgb, labels, ["a", "b", "c"])).tables["colours"]
    pd.testing.assert_frame_equal(
        whole, colours(run_of(count, rgb, labels, ["a", "b", "c"], parts=4)).tables["colours"]
    )
    order = np.random.default_rng(0).permutation(60)
    turned = colours(run_of(count[order], rgb[order], labels[order], ["a", "b", "c"])).tables["colours"]
    pd.testing.assert_frame_equal(whole, turned)
    renamed = colours(run_of(count, rgb, 2 - labels, ["z", "y", "x"])).tables["colours"]
    renamed["class"] = renamed["class"].map({"x": "a", "y": "b", "z": "c"})
    renamed = renamed.sort_values("class", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(whole, renamed)


def test_the_interval_follows_the_spread_between_images() -> None:
    """Images that are all black or all white carry as much as one pixel each; mixed ones carry more."""
    n = 40
    clumped = np.array([[9, 0, 0], [0, 0, 9]] * (n // 2))
    mixed = np.array([[5, 0, 4], [4, 0, 5]] * (n // 2))
    other = np.array([[3, 3, 3]] * 5)
    labels = [0] * n + [1] * 5
    zeros = np.zeros((n + 5, 9), dtype=int)
    wide = colours(run_of(np.concatenate([clumped, other]), zeros, labels, ["a", "b"])).tables["colours"].iloc[0]
    tight = colours(run_of(np.concatenate([mixed, other]), zeros, labels, ["a", "b"])).tables["colours"].iloc[0]
    assert wide["share"] == tight["share"] == 0.5
    from imblens.base.intervals import wilson

    # variance 0.25 / (n - 1) gives n - 1 trials
    low, high = wilson(np.array([(n - 1) / 2]), np.array([n - 1]))
    assert (wide["share_low"], wide["share_high"]) == (pytest.approx(low[0]), pytest.approx(high[0]))
    assert 0 < tight["share_high"] - tight["share_low"] < 0.5 * (wide["share_high"] - wide["share_low"])


def test_the_interval_covers_the_truth_as_often_as_stated() -> None:
    rng = np.random.default_rng(11)
    trials = 300  # a class each
    black = rng.binomial(20, rng.beta(2, 6, size=30 * trials))  # images differ; the mean is 1/4
    count = np.stack([black, np.zeros_like(black), 20 - black], axis=1)
    names = [f"class {i}" for i in range(trials)]
    table = colours(run_of(count, np.zeros((len(black), 9), int), np.repeat(range(trials), 30), names)).tables[
        "colours"
    ]
    of_black = table.groupby("class").first()
    assert len(of_black) == trials
    assert 0.92 <= of_black.eval("share_low <= 0.25 <= share_high").mean() <= 0.98


def test_images_without_gradient_count_nowhere() -> None:
    count, rgb, labels = drawn()
    count[:7], rgb[:7] = 0, 0
    finding = colours(run_of(count, rgb, labels, ["a", "b", "c"]))
    kept = colours(run_of(count[7:], rgb[7:], labels[7:], ["a", "b", "c"])).tables["colours"]
    pd.testing.assert_frame_equal(finding.tables["colours"], kept)
    assert any("7 of 60 images have no gradient" in note for note in finding.notes)


def test_a_class_without_images_is_unknown_not_zero() -> None:
    count, rgb, labels = drawn()
    finding = colours(run_of(count, rgb, np.minimum(labels, 1), ["a", "b", "c"]))
    empty = finding.tables["colours"].query("`class` == 'c'")
    assert empty[["share", "share_low", "share_high", "red"]].isna().all(axis=None)
    assert (empty["image_count"] == 0).all()
    assert any("of c: not assessed" in note for note in finding.notes)
    assert "c" not in finding.lines()
    finding.charts()["colours"].to_dict()


def test_grey_images_are_reported_as_grey() -> None:
    count, rgb, labels = drawn()
    count[:, 1] = 0
    notes = colours(run_of(count, rgb, labels, ["a", "b", "c"])).notes
    assert any("The images are grey: only black, gray and white occur" in note for note in notes)


def test_many_labels_for_one_image() -> None:
    count, rgb, _ = drawn()
    labels = np.random.default_rng(1).integers(0, 2, size=(60, 3))
    run = run_of(count, rgb, labels, ["a", "b", "c"])
    finding = colours(run)
    members = labels[:, 1] == 1
    expected = count[members].sum(axis=0) / count[members].sum()
    table = finding.tables["colours"]
    np.testing.assert_allclose(table[table["class"] == "b"]["share"], expected)
    border = members & np.isin([labels[near, 1].sum() for near in run.neighbours(5).indices], (2, 3))
    cells = finding.tables["colours_archetype"].query("`class` == 'b' and archetype == 'border'")
    np.testing.assert_allclose(cells["share"], count[border].sum(axis=0) / count[border].sum())
    assert set(cells["image_count"]) == {border.sum()}


def test_a_run_without_colours_is_skipped_with_the_reason() -> None:
    features, labels = np.random.default_rng(0).normal(size=(6, 2)), [0, 1, 0, 1, 0, 1]
    with pytest.raises(NotApplicable, match="holds no band count"):
        colours(Run.from_arrays(train=(features, labels)))
    with pytest.raises(NotApplicable, match="colours: the images behind the inputs, and so their colours, are unknown"):
        colours(
            capture(
                torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)), train=(torch.rand(6, 3, 2, 2), labels)
            )
        )
    with pytest.raises(NotApplicable, match="does not name its colour bands"):
        colours(replace(run_of(*drawn(), ["a", "b", "c"]), meta={}))


def test_the_chart_draws_every_share_once() -> None:
    finding = colours(run_of(*drawn(), ["a", "b", "c"]))
    spec = finding.charts()["colours"].to_dict()
    (data,) = spec["datasets"].values()
    assert {(row["class"], row["band"]) for row in data} == {(c, b) for c in "abc" for b in BANDS}
    assert sum(row["share"] for row in data) == pytest.approx(3)


class LooksBehind(torch.nn.Module):
    """A network whose answer hangs on how light blue an image is, and on nothing else but faint traces."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(2, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sky = torch.tensor([160.0, 205.0, 240.0])[:, None, None] / 255
        likeness = torch.exp(-40 * ((x - sky) ** 2).sum(dim=1))  # (N, H, W), 1 for light blue
        logits: torch.Tensor = self.head(torch.column_stack([likeness.mean(dim=(1, 2)), x.mean(dim=(1, 2, 3))]))
        return logits


def test_a_background_that_was_planted_leads() -> None:
    images = shapes(seed=0, n_max=120, test_per_class=2)
    kite = images.classes.index("kite")
    labels = (images.train.labels == kite).astype(int)
    run = capture(LooksBehind(), train=(images.train.array(), labels), classes=["rest", "kite"])
    finding = colours(run)
    table = finding.tables["colours"]
    led = table[table["class"] == "kite"].sort_values("share").iloc[-1]
    assert led["band"] == "light blue" and led["share"] > 0.5 and led["share"] > 2 * led["others"]
    assert abs(led["blue"] - 240) < 25 and abs(led["red"] - 160) < 25
    assert " are light blue, " in finding.lines()["kite"]
    kites = images.train.array()[labels == 1].reshape(-1, 3)
    blue = list(run.meta["colours"]["bands"]).index("light blue")
    assert led["present"] == pytest.approx(np.mean(band_of(kites) == blue))


def test_another_head_has_no_colours() -> None:
    run = run_of(*drawn(), ["a", "b", "c"])
    treated = run.with_head(Head(np.eye(3, 2, dtype=np.float32), np.zeros(3, np.float32)), treatment={"name": "eos"})
    with pytest.raises(NotApplicable, match="own head"):
        colours(treated)
