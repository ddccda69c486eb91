"""The head's training: against an exact minimum, against torch, and its invariances."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from imblens.errors import InputError
from imblens.run import Head, Run
from imblens.treatments import Recipe, train_head, treat, treatment_lines
from imblens.treatments._train_head import released_recipe
from tests.treatments._runs import blobs, blobs_run


def test_reaches_the_minimum_that_another_solver_finds() -> None:
    features, labels = blobs((300, 200, 120, 90), seed=3)
    recipe = Recipe(epochs=60, weight_decay=1e-2)
    head = train_head(features, labels, 4, recipe=recipe)
    centred = features - features.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).sum(axis=1).mean())
    exact = LogisticRegression(C=1 / (1e-2 * len(labels)), tol=1e-8, max_iter=1000).fit(scaled, labels)
    theirs = exact.predict_log_proba(scaled)
    ours = head(features).astype(np.float64)
    ours -= np.log(np.exp(ours).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_start_batch_and_rate_hardly_matter() -> None:
    features, labels = blobs((300, 200, 120, 90), seed=3)
    reference = train_head(features, labels, 4)(features)
    old = Head(np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32), np.ones(4, np.float32))
    for start, recipe in ((old, Recipe()), ("random", Recipe()), ("zeros", Recipe(batch_size=64, learning_rate=0.5))):
        other = train_head(features, labels, 4, start=start, recipe=recipe)(features)
        assert (other.argmax(axis=1) == reference.argmax(axis=1)).mean() > 0.97


def test_unit_offset_and_orientation_of_features_do_not_matter() -> None:
    features, labels = blobs((200, 80, 30, 12), seed=4)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    moved = (1000 * (features @ turn) + 50).astype(np.float32)
    one, other = train_head(features, labels, 4)(features), train_head(moved, labels, 4)(moved)
    np.testing.assert_allclose(one, other, atol=0.02)


def test_one_step_is_the_one_torch_takes() -> None:
    torch = pytest.importorskip("torch")
    features, labels = blobs((9, 5, 3, 2), seed=5)
    start = Head(np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32), np.arange(4, dtype=np.float32))
    recipe = Recipe(
        epochs=3, batch_size=64, learning_rate=0.1, weight_decay=0.02, scaled=False, warm_up=5, least_steps=0
    )
    head = train_head(features, labels, 4, start=start, recipe=recipe)
    layer = torch.nn.Linear(6, 4)
    layer.load_state_dict({"weight": torch.from_numpy(start.weight), "bias": torch.from_numpy(start.bias)})
    descent = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.02)
    for epoch in range(3):
        for group in descent.param_groups:
            group["lr"] = 0.1 * (epoch + 1) / 5
        descent.zero_grad()
        torch.nn.functional.cross_entropy(layer(torch.from_numpy(features)), torch.from_numpy(labels)).backward()
        # torch scales its velocity by the rate when it is used, ours when it is gathered
        descent.step()
        for group in descent.param_groups:
            for parameter in group["params"]:
                buffer = descent.state[parameter]["momentum_buffer"]
                if epoch < 2:
                    buffer *= (epoch + 1) / (epoch + 2)
    np.testing.assert_allclose(head.weight, layer.weight.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(head.bias, layer.bias.detach().numpy(), atol=1e-5)


def test_same_seed_same_bytes() -> None:
    features, labels = blobs()
    heads = [train_head(features, labels, 4, seed=seed) for seed in (0, 0, 1)]
    assert heads[0].weight.tobytes() == heads[1].weight.tobytes()
    assert heads[0].weight.tobytes() != heads[2].weight.tobytes()


def test_balanced_draws_give_every_class_the_same_state() -> None:
    features, labels = blobs((400, 40, 12, 5), seed=6)
    plain = train_head(features, labels, 4)(features).argmax(axis=1)
    even = train_head(features, labels, 4, recipe=Recipe(balanced=True))(features).argmax(axis=1)
    rare = labels > 0
    assert (even[rare] == labels[rare]).mean() > (plain[rare] == labels[rare]).mean()


def test_features_and_labels_are_left_alone_and_dead_features_get_no_weight() -> None:
    features, labels = blobs()
    features[:, 2] = 4.0
    kept = features.copy()
    head = train_head(features, labels, 4)
    np.testing.assert_array_equal(features, kept)
    np.testing.assert_array_equal(head.weight[:, 2], 0)


def test_a_class_without_instances_is_never_answered() -> None:
    features, labels = blobs((50, 30, 20))
    answers = train_head(features, labels, 5)(features).argmax(axis=1)
    assert set(answers.tolist()) <= {0, 1, 2}


def test_a_descent_that_diverges_states_so() -> None:
    features, labels = blobs()
    with pytest.raises(InputError, match=r"diverged with learning_rate=1e\+30\. Pass a lower"):
        train_head(features, labels, 4, recipe=Recipe(learning_rate=1e30))


def test_the_released_recipe_takes_features_as_they_are() -> None:
    recipe = released_recipe()
    assert (recipe.scaled, recipe.warm_up, recipe.learning_rate, recipe.weight_decay) == (False, 5, 0.1, 2e-4)
    assert recipe.as_meta()["epochs"] == 10


def test_identical_instances() -> None:
    head = train_head(np.ones((6, 2), np.float32), np.array([0, 0, 0, 0, 1, 1]), 2, recipe=Recipe(epochs=200))
    np.testing.assert_allclose(np.exp(head.bias[1] - head.bias[0]), 0.5, atol=0.05)


def test_the_curve_ends_with_the_head_that_is_returned() -> None:
    features, labels = blobs((60, 20, 8), seed=2)
    names = ["a", "b", "c"]
    run = Run.from_arrays(train=(features, labels), test=(features[::2] + 0.3, labels[::2]), classes=names)
    plain = treat(run, "smote", epochs=4, k_neighbors=3)
    better = treat(run, "smote", epochs=4, k_neighbors=3, curve=True)
    assert better.head is not None and plain.head is not None and better.test is not None
    np.testing.assert_array_equal(better.head.weight, plain.head.weight)
    curve = better.meta["treatment"]["facts"]["curve"]
    assert [row["epoch"] for row in curve] == [1, 2, 3, 4]
    for split, name in ((better.train, "train"), (better.test, "test")):
        recall = [split.correct[split.labels == c].mean() for c in range(3)]
        assert curve[-1][name] == pytest.approx(np.mean(recall))
    assert "curve" not in plain.meta["treatment"]["facts"]
    line = f"Balanced accuracy on the test split: {100 * curve[0]['test']:.1f}% after 1 epoch, "
    assert any(text.startswith(line) for text in treatment_lines(better))
    alone = Run.from_arrays(train=(features, labels), classes=names)
    assert treat(alone, "crt", epochs=2, curve=True).meta["treatment"]["facts"]["curve"][1]["test"] is None


def test_a_step_takes_fewer_rows_where_the_steps_would_be_too_few() -> None:
    recipe = Recipe(epochs=2, batch_size=64, least_steps=10)
    assert [recipe.rows_of_step(n) for n in (3, 100, 1000)] == [1, 20, 64]
    assert Recipe(epochs=1, batch_size=64, least_steps=1).rows_of_step(50) == 50


def test_a_random_start_is_that_of_a_linear_layer_of_torch() -> None:
    features, labels = blobs((30, 20, 10, 5))
    head = train_head(features, labels, 4, start="random", recipe=Recipe(epochs=0, scaled=False))
    drawn = np.abs(np.c_[head.weight, head.bias])
    assert 0.8 / np.sqrt(6) < drawn.max() <= 1 / np.sqrt(6)


def test_training_holds_one_copy_of_its_rows() -> None:
    features = np.random.default_rng(0).normal(size=(80_000, 64)).astype(np.float32)
    tracemalloc.start()
    train_head(features, np.arange(80_000) % 3, 3, recipe=Recipe(epochs=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.8 * features.nbytes


@pytest.mark.parametrize("name", ["eos", "eos_features"])
def test_new_rows_are_refused_where_the_copies_that_training_holds_do_not_fit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = blobs_run()
    new = run.train.class_counts.max() * run.n_classes - len(run.train)
    monkeypatch.setattr("imblens.base.memory.memory_limit", lambda: int(1.9 * new * run.dim * 4))
    with pytest.raises(InputError, match=rf"^{name}: .* new rows, which need \(held 2 times at once\) .* half of"):
        treat(run, name, check_split=False)
