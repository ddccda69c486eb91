"""Networks of other libraries, built without downloads: captured, held against their own output, audited, treated, installed.

`make ecosystem` runs this in an environment of its own and writes the table of docs/ecosystem.md:

    python -m benchmarks.ecosystem [--only TEXT] [--out FILE.md]

Weights are random: the table shows that features, head and logits are read and written right, not that networks are good.
"""

from __future__ import annotations

import argparse
import platform
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import imblens

COUNTS = {"train": (12, 7, 4), "test": (4, 4, 4)}
CLASSES = ("a", "b", "c")
LENSES = ("class_accuracy", "archetypes", "generalization_gap")
LIBRARIES = (
    "torch", "torchvision", "timm", "transformers", "ultralytics", "monai", "torch_geometric", "open_clip_torch",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A network with what it reads: `inputs(n)` returns a batch of n, `logits_of` its logits from its output."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], Any]
    logits_of: Callable[[Any], torch.Tensor] = lambda output: output
    options: dict[str, Any] = field(default_factory=dict)


def pixels(size: int, channels: int = 3, dimensions: int = 2) -> Callable[[int], torch.Tensor]:
    """Return a function that draws n inputs of a size."""
    return lambda n: torch.randn(n, channels, *[size] * dimensions)


def tokens(n: int) -> dict[str, torch.Tensor]:
    """Draw n texts of 3 to 12 tokens, padded, with their mask."""
    lengths = torch.randint(3, 13, (n, 1))
    mask = (torch.arange(12) < lengths).long()
    return {"input_ids": torch.randint(1, 99, (n, 12)) * mask, "attention_mask": mask}


def torchvision_cases() -> Iterator[Case]:
    """Families of torchvision, small where their classes take sizes."""
    from torchvision import models as m

    vit = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 48, "num_classes": 3}
    stages = [m.convnext.CNBlockConfig(8, 16, 1), m.convnext.CNBlockConfig(16, None, 1)]
    plain = {"num_classes": 3, "init_weights": False}
    for name, build, size in (
        ("resnet18", lambda: m.resnet18(num_classes=3), 64),
        ("ResNet of bottlenecks", lambda: m.ResNet(m.resnet.Bottleneck, [1, 1, 1, 1], num_classes=3), 64),
        ("squeezenet1_1 (ReLU behind its last convolution)", lambda: m.squeezenet1_1(num_classes=3), 64),
        ("DenseNet", lambda: m.DenseNet(8, (2, 2, 2), 16, num_classes=3), 64),
        ("Inception v3 (auxiliary output in training)", lambda: m.Inception3(aux_logits=True, **plain), 96),
        ("GoogLeNet (auxiliary outputs in training)", lambda: m.GoogLeNet(aux_logits=True, **plain), 64),
        ("shufflenet_v2_x0_5", lambda: m.shufflenet_v2_x0_5(num_classes=3), 64),
        ("mobilenet_v2", lambda: m.mobilenet_v2(num_classes=3), 64),
        ("mobilenet_v3_small", lambda: m.mobilenet_v3_small(num_classes=3), 64),
        ("efficientnet_b0", lambda: m.efficientnet_b0(num_classes=3), 64),
        ("regnet_y_400mf", lambda: m.regnet_y_400mf(num_classes=3), 64),
        ("ConvNeXt", lambda: m.ConvNeXt(stages, num_classes=3), 64),
        ("VisionTransformer", lambda: m.VisionTransformer(32, 8, **vit), 32),
        ("SwinTransformer", lambda: m.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=3), 32),
    ):
        yield Case(f"torchvision {name}", build, pixels(size))


def timm_cases() -> Iterator[Case]:
    """Networks of timm: global pooling, 1 x 1 convolutions, norm and MLP in the head, two heads."""
    import timm

    small = {"img_size": 32, "patch_size": 8, "depth": 2}
    for name, size, options in (
        ("resnet10t", 64, {}), ("convnext_atto", 64, {}), ("convnext_atto", 64, {"head_hidden_size": 32}),
        ("vit_tiny_patch16_224", 32, small), ("vit_tiny_patch16_224", 32, {**small, "global_pool": "avg"}),
        ("deit_tiny_distilled_patch16_224", 32, small),
        ("swin_tiny_patch4_window7_224", 64, {"img_size": 64, "embed_dim": 24, "depths": (1, 1, 1, 1)}),
        ("mobilenetv3_small_050", 64, {}), ("mobilenetv4_conv_small_050", 64, {}), ("repvgg_a0", 64, {}),
        ("levit_128s", 224, {}), ("fastvit_t8", 64, {}), ("hgnetv2_b0", 64, {}),
        ("inception_next_atto", 64, {}), ("xcit_nano_12_p16_224", 64, {}),
    ):  # fmt: skip
        shown = {key: value for key, value in options.items() if key in ("head_hidden_size", "global_pool")}
        title = ", ".join([name, *(f"{key}={value}" for key, value in shown.items())])
        build = lambda name=name, options=options: timm.create_model(name, num_classes=3, **options)  # noqa: E731
        yield Case(f"timm {title}", build, pixels(size))
    from timm.layers import ClassifierHead

    def convolution() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), ClassifierHead(16, 3, use_conv=True))

    yield Case("timm ClassifierHead, use_conv=True", convolution, pixels(32))


def transformers_cases() -> Iterator[Case]:
    """Small networks of transformers from their configurations."""
    import transformers as hf

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    text = {**small, "vocab_size": 99, "num_labels": 3, "pad_token_id": 0}
    image = {**small, "image_size": 32, "patch_size": 8, "num_labels": 3}

    def logits(output: Any) -> torch.Tensor:
        return output.logits

    for kind, config, inputs in (
        ("BertForSequenceClassification", hf.BertConfig(**text), tokens),
        ("RobertaForSequenceClassification", hf.RobertaConfig(**text), tokens),
        ("DistilBertForSequenceClassification",
         hf.DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=2, hidden_dim=48, num_labels=3), tokens),
        ("ElectraForSequenceClassification", hf.ElectraConfig(**text, embedding_size=32), tokens),
        ("GPT2ForSequenceClassification",
         hf.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=2, num_labels=3, pad_token_id=0), tokens),
        ("LlamaForSequenceClassification", hf.LlamaConfig(**text), tokens),
        ("ViTForImageClassification", hf.ViTConfig(**image), pixels(32)),
        ("DeiTForImageClassificationWithTeacher", hf.DeiTConfig(**image), pixels(32)),
        ("BeitForImageClassification", hf.BeitConfig(**image), pixels(32)),
        ("Dinov2ForImageClassification", hf.Dinov2Config(**image), pixels(32)),
        ("SwinForImageClassification",
         hf.SwinConfig(image_size=32, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=3),
         pixels(32)),
        ("ConvNextForImageClassification",
         hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3), pixels(64)),
        ("ResNetForImageClassification",
         hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3), pixels(64)),
        ("Wav2Vec2ForSequenceClassification",
         hf.Wav2Vec2Config(**small, num_labels=3, conv_dim=[16, 16], conv_stride=[5, 4], conv_kernel=[10, 8],
                           num_feat_extract_layers=2, classifier_proj_size=24), lambda n: torch.randn(n, 800)),
    ):  # fmt: skip
        named = inputs if inputs is tokens else _keyed("input_values" if "Wav2Vec2" in kind else "pixel_values", inputs)
        build = lambda kind=kind, config=config: getattr(hf, kind)(config)  # noqa: E731
        yield Case(f"transformers {kind}", build, named, logits)


def _keyed(key: str, inputs: Callable[[int], torch.Tensor]) -> Callable[[int], dict[str, torch.Tensor]]:
    return lambda n: {key: inputs(n)}


def other_cases() -> Iterator[Case]:
    """Networks of ultralytics, MONAI and open_clip."""
    with suppress(ImportError):
        from ultralytics.nn.tasks import ClassificationModel

        def first(output: Any) -> torch.Tensor:
            return output[1] if isinstance(output, (tuple, list)) else output  # (probabilities, logits) in evaluation

        for name in ("yolov8n-cls.yaml", "yolo11n-cls.yaml"):
            build = lambda name=name: ClassificationModel(name, nc=3, ch=3, verbose=False)  # noqa: E731
            yield Case(f"ultralytics {name}", build, pixels(64), first)
    with suppress(ImportError):
        from monai.networks import nets

        volumes = pixels(32, 1, 3)
        for name, build, inputs, logits_of in (
            ("DenseNet121, 3-D", lambda: nets.DenseNet121(3, 1, 3), volumes, None),
            ("ResNet, 3-D", lambda: nets.ResNet("basic", [1] * 4, [8, 16, 24, 32], n_input_channels=1, num_classes=3),
             volumes, None),
            ("ViT, 3-D", lambda: nets.ViT(1, (32,) * 3, (16,) * 3, 32, 48, 2, 2, classification=True, num_classes=3),
             volumes, lambda output: output[0]),
            ("EfficientNetBN, 2-D", lambda: nets.EfficientNetBN("efficientnet-b0", False, num_classes=3), pixels(64), None),
        ):  # fmt: skip
            yield Case(f"monai {name}", build, inputs, logits_of or (lambda output: output))
    with suppress(ImportError):
        import open_clip

        class Probe(nn.Module):
            """An image encoder of CLIP with a linear head on normalised features."""

            def __init__(self) -> None:
                super().__init__()
                vision = {"image_size": 32, "patch_size": 8, "layers": 2, "width": 32, "head_width": 16}
                text = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
                self.visual = open_clip.CLIP(
                    24, open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text)
                ).visual
                self.head = nn.Linear(24, 3)

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return self.head(nn.functional.normalize(self.visual(images), dim=-1))

        yield Case("open_clip visual encoder, linear head", Probe, pixels(32))


def graph_cases() -> Iterator[tuple[Case, Callable[[torch.Tensor], Any]]]:
    """Graph classifiers of torch_geometric, which read whole batches of graphs."""
    with suppress(ImportError):
        from torch_geometric.data import Data
        from torch_geometric.loader import DataLoader
        from torch_geometric.nn import GATConv, GCNConv, global_mean_pool

        class Graphs(nn.Module):
            """Two graph convolutions, the mean over nodes, a linear head."""

            def __init__(self, convolution: Any) -> None:
                super().__init__()
                self.first, self.second, self.head = convolution(5, 16), convolution(16, 16), nn.Linear(16, 3)

            def forward(self, data: Any) -> torch.Tensor:
                hidden = self.first(data.x, data.edge_index).relu()
                hidden = self.second(hidden, data.edge_index).relu()
                return self.head(global_mean_pool(hidden, data.batch))

        def loader(labels: torch.Tensor) -> Any:
            graphs = [
                Data(x=torch.randn(n, 5), edge_index=torch.randint(0, n, (2, 2 * n)), y=label.reshape(1))
                for label, n in zip(labels, torch.randint(3, 9, (len(labels),)).tolist(), strict=True)
            ]
            return DataLoader(graphs, batch_size=8)

        for name, convolution in (("GCN", GCNConv), ("GAT", GATConv)):
            yield Case(f"torch_geometric {name}, graphs", lambda c=convolution: Graphs(c), pixels(1)), loader


def loader_of(case: Case, labels: torch.Tensor) -> Any:
    """Return a loader of (inputs, label), or of mappings with the labels."""
    inputs = case.inputs(len(labels))
    if isinstance(inputs, dict):
        instances = [{**{k: v[i] for k, v in inputs.items()}, "labels": label} for i, label in enumerate(labels)]
        return torch.utils.data.DataLoader(instances, batch_size=8)  # type: ignore[arg-type]
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, labels), batch_size=8)


def outputs(case: Case, model: nn.Module, loader: Any) -> np.ndarray:
    """Return the network's own logits of a loader."""
    found = []
    model.eval()
    with torch.no_grad():
        for batch in loader:
            if isinstance(batch, dict):
                found.append(case.logits_of(model(**{k: v for k, v in batch.items() if k != "labels"})))
            else:
                found.append(case.logits_of(model(batch if hasattr(batch, "y") else batch[0])))
    return torch.cat(found).numpy()


def tried(case: Case, loaders: Callable[[torch.Tensor], Any] | None) -> dict[str, str]:
    """Return a row of the table."""
    torch.manual_seed(0)
    start = time.perf_counter()
    row = {"network": case.name, "head": "", "difference": "", "audit": "", "install": "", "seconds": ""}
    try:
        model = case.build().eval()
        sets = {}
        for split, counts in COUNTS.items():
            labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
            sets[split] = loader_of(case, labels) if loaders is None else loaders(labels)
        own = outputs(case, model, sets["test"])
        run = imblens.capture(
            model,
            train=sets["train"],
            test=sets["test"],
            classes=CLASSES,
            colours=False,
            previews=False,
            **case.options,
        )
        assert run.test is not None and run.head is not None
        kept = np.asarray(run.test.logits)
        row["difference"] = f"{np.abs(own - kept).max():.0e}"
        mapped = np.asarray(run.test.features) @ run.head.weight.T + run.head.bias
        row["head"] = f"{run.meta.get('layer') or run.meta.get('head') or ''} ({run.dim} features)".strip()
        wrong = max(np.abs(own - kept).max(), np.abs(mapped - kept).max())
        if wrong > 1e-4 * max(1.0, np.abs(own).max()):
            row["difference"] += " (differs)"
        row["audit"] = f"{len(imblens.audit(run, lenses=LENSES).findings)} lenses"
        better = imblens.treat(run, "logit_adjustment", tau=1)
        better.install(model)
        row["install"] = f"{np.abs(outputs(case, model, sets['test']) - np.asarray(better.test.logits)).max():.0e}"
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        row["install"] = row["install"] or f"{type(error).__name__}: {reason.split(' (of ')[0][:160]}"
        traceback.print_exc()
    row["seconds"] = f"{time.perf_counter() - start:.0f}"
    return row


def all_cases() -> Iterator[tuple[Case, Callable[[torch.Tensor], Any] | None]]:
    """Yield each case with what makes its loaders (None: tensors)."""
    for family in (torchvision_cases, timm_cases, transformers_cases, other_cases):
        yield from ((case, None) for case in family())
    yield from graph_cases()


def main() -> None:
    """Try every network and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names")
    parser.add_argument("--out", type=Path, help="also write the page")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for case, loaders in all_cases():
        if chosen.only in case.name:
            rows.append(tried(case, loaders))
            print(" | ".join(rows[-1].values()), flush=True)
    header = ["network", "head", "logits differ by", "audit", "after install differ by", "seconds"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row.values())} |" for row in rows]
    releases = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    if chosen.out is not None:
        start = chosen.out.read_text(encoding="utf-8").split("<!-- table -->")[0]
        text = "\n".join(
            [f"{start}<!-- table -->", "", f"Python {platform.python_version()}, {releases}.", "", *lines, ""]
        )
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
