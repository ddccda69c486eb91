"""`imblens.capture(trainer)`: the network, data sets, collator and label names of a Trainer of transformers."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from imblens.errors import InputError
from imblens.extraction import capture
from imblens.treatments import treat
from tests.extraction.networks import seeded

transformers = pytest.importorskip("transformers")
datasets = pytest.importorskip("datasets")
RNG = np.random.default_rng(3)
NAMES = ["calm", "angry", "glad"]


def bert() -> Any:
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def texts(n: int, names: list[str] = NAMES, *, column: str = "label") -> Any:
    features = datasets.Features({
        "input_ids": datasets.Sequence(datasets.Value("int64")),
        "text": datasets.Value("string"),
        "source": datasets.Value("string"),
        column: datasets.ClassLabel(names=names),
    })  # fmt: skip
    rows = [
        {
            "input_ids": RNG.integers(1, 40, size=RNG.integers(3, 9)).tolist(),
            "text": f"text {i}",
            "source": "a",
            column: i % 3,
        }
        for i in range(n)
    ]
    return datasets.Dataset.from_list(rows, features=features)


def pad(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad, and name the labels as the network does."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = [list(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    assert all(set(row) <= {"input_ids", "label", "labels"} for row in rows), "unused columns are removed"
    tokens = torch.tensor(ids)
    return {
        "input_ids": tokens,
        "attention_mask": (tokens > 0).long(),
        "labels": torch.tensor([row.get("label", row.get("labels")) for row in rows]),
    }


def trainer(model: Any, train: Any, held_out: Any, collator: Any, **options: Any) -> Any:
    """A trainer without `accelerate`, which its constructor needs."""
    made = object.__new__(transformers.Trainer)
    vars(made).update(
        model=model, train_dataset=train, eval_dataset=held_out, data_collator=collator, processing_class=None,
        label_names=["labels"], _signature_columns=None, args=SimpleNamespace(remove_unused_columns=True), **options,
    )  # fmt: skip
    return made


def own_logits(model: Any, rows: Any) -> Any:
    with torch.no_grad():
        kept = [{key: row[key] for key in ("input_ids", "label")} for row in rows]
        return np.concatenate([model.eval()(**pad([row])).logits.numpy() for row in kept])


def test_a_text_classifier() -> None:
    model, train, held_out, test = seeded(bert), texts(24), texts(12), texts(9)
    run = capture(trainer(model, train, held_out, pad), colours=False)
    assert run.test is not None and run.head is not None and run.val is None
    assert run.classes == tuple(NAMES) and run.meta["layer"] == "classifier"
    for split, rows in ((run.train, train), (run.test, held_out)):
        np.testing.assert_allclose(split.logits, own_logits(model, rows), atol=1e-4)
        np.testing.assert_allclose(run.head(split.features), split.logits, atol=1e-4)
        assert split.labels.tolist() == rows["label"]
        assert split.preview_kind == "text" and split.instances(["preview"])["preview"].tolist() == rows["text"]
    other = capture(trainer(model, train, held_out, pad), test=test)
    assert other.test is not None and other.val is not None and (len(other.test), len(other.val)) == (9, 12)
    better = treat(run, "logit_adjustment")
    better.install(model)
    assert better.test is not None
    np.testing.assert_allclose(better.test.logits, own_logits(model, held_out), atol=1e-4)


def test_labels_in_another_order_than_outputs_are_matched_by_name() -> None:
    model = seeded(bert)
    run = capture(trainer(model, texts(12, ["angry", "calm", "glad"]), None, pad))
    assert run.classes == tuple(NAMES) and run.train.labels.tolist() == [1, 0, 2] * 4
    assert any("labels are matched by name" in note for note in run.meta["notes"])


def test_an_image_classifier() -> None:
    config = transformers.ViTConfig(
        image_size=8,
        patch_size=4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=3,
    )
    model = seeded(lambda: transformers.ViTForImageClassification(config))
    pixels = torch.from_numpy(RNG.normal(size=(15, 3, 8, 8)).astype(np.float32))
    rows = [{"pixel_values": pixels[i], "labels": i % 3} for i in range(15)]
    run = capture(trainer(model, rows, rows, transformers.default_data_collator))
    with torch.no_grad():
        np.testing.assert_allclose(run.train.logits, model.eval()(pixels).logits, atol=1e-4)
    assert run.meta["layer"] == "classifier" and run.classes == ("0", "1", "2")


def test_what_a_trainer_lacks_is_named() -> None:
    model = seeded(bert)
    with pytest.raises(InputError, match="the trainer has no train_dataset"):
        capture(trainer(model, None, texts(6), pad))
    with pytest.raises(InputError, match="several evaluation sets: a, b"):
        capture(trainer(model, texts(6), {"a": texts(6), "b": texts(6)}, pad))


def test_logits_are_those_that_the_trainer_predicts(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    os.environ["WANDB_DISABLED"] = "true"
    model, rows = seeded(bert), texts(13)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), report_to=[], use_cpu=True, per_device_eval_batch_size=4
    )
    made = transformers.Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows, data_collator=pad)
    run = capture(made)
    np.testing.assert_allclose(run.train.logits, made.predict(rows).predictions, atol=1e-4)
    np.testing.assert_array_equal(run.train.labels, made.predict(rows).label_ids)
