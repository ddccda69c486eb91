"""Charts drawn in another process: the same bytes as those drawn here, and drawn here whatever becomes of it."""

from __future__ import annotations

import io
import pickle
import subprocess

import numpy as np
import pytest

import imblens
from imblens.report import _ahead, _render
from imblens.report._bitmap import small_bitmap
from imblens.report._figures import Figure

LENSES = ["class_accuracy", "feature_overlap", "weight_norms"]


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    features = rng.normal(size=(70, 4)) + 2 * np.eye(4)[labels]
    head = (np.eye(4)[:3], np.zeros(3))
    return imblens.Run.from_arrays(train=(features, labels), test=(features + 0.1, labels), head=head)


@pytest.fixture(scope="module")
def usual(run):
    return _render.figures(imblens.audit(run, lenses=LENSES))


@pytest.fixture
def large(monkeypatch):
    """Runs of any size are drawn ahead, on any machine."""
    monkeypatch.setattr(_ahead, "ENOUGH", 1)
    monkeypatch.setattr(_ahead, "cores", lambda: 2)


def same(drawn, usual):
    assert list(drawn) == list(usual)
    for key, figure in drawn.items():
        assert (figure.spec, figure.data, figure.svg) == (usual[key].spec, usual[key].data, usual[key].svg)
        assert figure.png == usual[key].png


def test_figures_drawn_in_another_process_are_the_same(run, usual, large):
    with _ahead.drawing_ahead(run) as on_finding:
        found = imblens.audit(run, lenses=LENSES, on_finding=on_finding)
        drawn = _render.figures(found)
    same(drawn, usual)
    assert all("png" in vars(figure) for figure in drawn.values())  # drawn there, not here


def test_a_process_that_ends_is_made_up_for(run, usual, large, monkeypatch):
    monkeypatch.setattr(_ahead, "CODE", "import sys; sys.exit(3)  # {path!r}")
    with _ahead.drawing_ahead(run) as on_finding:
        found = imblens.audit(run, lenses=LENSES, on_finding=on_finding)
        drawn = _render.figures(found)
    same(drawn, usual)


def test_charts_of_another_package_and_all_after_them_are_drawn_here(run, large):
    import pandas as pd

    from imblens.lenses import Finding, lens

    @lens("How many?", charts=lambda finding: {})
    def counts(run):
        return Finding({"counts": pd.DataFrame({"class": run.classes})}, {})

    own = counts(run)
    later = imblens.lenses.weight_norms(run)
    with _ahead.drawing_ahead(run) as on_finding:
        on_finding("counts", own)
        on_finding("weight_norms", later)
        assert _ahead.drawn_ahead(own, 0) is None
        assert _ahead.drawn_ahead(later, 0) is None


def test_figures_at_another_place_in_the_report_are_drawn_again(run, large):
    later = imblens.lenses.weight_norms(run)
    with _ahead.drawing_ahead(run) as on_finding:
        on_finding("weight_norms", later)
        assert list(_ahead.drawn_ahead(later, 0)) == ["weight_norms"]
        assert _ahead.drawn_ahead(later, 1) is None


def test_an_error_ends_the_process(run, large, monkeypatch):
    started = []
    usual = subprocess.Popen

    def popen(*words, **options):
        started.append(usual(*words, **options))
        return started[-1]

    monkeypatch.setattr(_ahead.subprocess, "Popen", popen)
    with pytest.raises(ZeroDivisionError), _ahead.drawing_ahead(run):
        raise ZeroDivisionError
    assert started[0].returncode is not None


def test_small_runs_and_single_cores_start_no_process(run, monkeypatch):
    with _ahead.drawing_ahead(run) as on_finding:
        assert on_finding is None
    monkeypatch.setattr(_ahead, "ENOUGH", 1)
    monkeypatch.setattr(_ahead, "cores", lambda: 1)
    with _ahead.drawing_ahead(run) as on_finding:
        assert on_finding is None


def test_the_served_figures_are_numbered_from_the_given_place(run):
    requests, results = io.BytesIO(), io.BytesIO()
    pickle.dump((imblens.lenses.weight_norms(run), 4, run.classes), requests)
    requests.seek(0)
    _ahead.serve(requests, results)
    (figure,) = pickle.loads(results.getvalue()).values()
    assert isinstance(figure, Figure)
    assert figure.name == "figure-5"


@pytest.mark.parametrize(("bytes_of_an_svg", "kept"), [(10, True), (10**9, False)])
def test_a_drawing_that_a_page_may_show_as_a_bitmap_comes_with_it(run, monkeypatch, bytes_of_an_svg, kept):
    monkeypatch.setattr("imblens.report._figures.DRAWING_BYTES", bytes_of_an_svg)
    requests, results = io.BytesIO(), io.BytesIO()
    pickle.dump((imblens.lenses.weight_norms(run), 0, run.classes), requests)
    requests.seek(0)
    _ahead.serve(requests, results)
    (figure,) = pickle.loads(results.getvalue()).values()
    assert ("webp" in vars(figure)) is kept
    assert not kept or figure.webp == small_bitmap(figure.png)
