"""The listed test errors as the page shows them: a static row for each class, and all of them for a script."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imblens.lenses.errors import Listed, listed_errors, near_classes
from imblens.report import _lens_parts, _overlays
from imblens.report._packing import deflated

if TYPE_CHECKING:
    from imblens.report._data import AuditFields
    from imblens.report._image_sheet import Key, Sheet
    from imblens.report._previews import Previews

NEAR, STATED = 3, 100  # nearest training instances that the page shows; errors in the summary
ROW, CLASSES, MAPS = 6, 24, 24  # errors in a static row, rows, and activation maps among them
UNQUOTED = "!'()*"
MANY = 60  # classes above which half as many rows are static, and fewer prototypes, so that the page stays light


def listed(audit: AuditFields) -> Listed | None:
    """Return the listed errors, or None where the audit has none."""
    if _lens_parts.ERRORS not in audit.findings:
        return None
    return listed_errors(audit.run, **audit.options.get(_lens_parts.ERRORS, {}))


def rows(audit: AuditFields, most: int | None = None) -> list[dict[str, Any]]:
    """Return the most confident errors: id, class, predicted, probability, and id and class of the nearest instances."""
    found = listed(audit)
    if found is None:
        return []
    table = audit.findings[_lens_parts.ERRORS].tables["errors"].head(most)
    ids = audit.run.train.ids
    records = table[["id", "class", "predicted", "probability"]].to_dict("records")
    return [
        {
            **{str(key): value for key, value in record.items()},
            "neighbours": [
                {"id": str(ids[i]), "class": name}
                for i, name in zip(near.tolist(), near_classes(audit.run, label, near), strict=True)
            ],
        }
        for record, label, near in zip(records, found.labels.tolist(), found.near, strict=False)
    ]


def totals(audit: AuditFields) -> dict[str, int]:
    """Return the number of errors of each class, whether listed or not."""
    if _lens_parts.ERRORS not in audit.findings:
        return {}
    pairs = audit.findings[_lens_parts.ERRORS].tables["error_pairs"]
    return {str(name): int(n) for name, n in pairs.groupby("class", sort=False)["count"].sum().items()}


def wanted_images(found: Sequence[Mapping[str, Any]]) -> Iterator[Key]:
    """Yield what the page can show of the errors, the most important first: the first of each cell, then the second, ...

    So no cell goes without images where the space of a page does not suffice for all.
    """
    turns: dict[tuple[str, str], int] = {}
    order = []
    for i, row in enumerate(found):
        pair = row["class"], row["predicted"]
        turns[pair] = turns.get(pair, 0) + 1
        order.append((turns[pair], i))
    for _, i in sorted(order):
        row = found[i]
        yield "test", row["id"]
        yield from (("train", near["id"]) for near in row["neighbours"][:NEAR])


@lru_cache(maxsize=4096)
def anchor(name: str, predicted: str) -> str:
    """Return the address of a cell within the page, as the script writes it (encodeURIComponent).

    >>> anchor("pick-up truck", "car (old)")
    'class=pick-up%20truck&predicted=car%20(old)'
    """
    return f"class={quote(name, safe=UNQUOTED)}&predicted={quote(predicted, safe=UNQUOTED)}"


def chance(probability: float) -> str:
    """Write the probability of a prediction, as the script writes it.

    >>> chance(0.914), chance(0.9962)
    ('91%', '99.6%')
    """
    return f"{100 * probability:.{0 if probability < 0.995 else 1}f}%"


def static_rows(
    audit: AuditFields,
    order: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    sheet: Sheet,
    others: Previews,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """For each class its `most` most confident errors: one of each pair first, the commonest pair leading."""
    if not found:
        return []
    pairs = audit.findings[_lens_parts.ERRORS].tables["error_pairs"]
    count = {(a, b): n for a, b, n in zip(pairs["class"], pairs["predicted"], pairs["count"], strict=True)}
    of: dict[str, list[tuple[int, int, int]]] = {}
    turns: dict[tuple[str, str], int] = {}
    for i, row in enumerate(found):
        pair = row["class"], row["predicted"]
        turns[pair] = turns.get(pair, 0) + 1
        of.setdefault(row["class"], []).append((turns[pair], -count[pair], i))
    kept = _overlays.kept_maps(audit.run)
    maps, groups = MAPS, []
    most = most or (ROW if len(of) <= CLASSES // 2 else ROW // 2)
    shown = CLASSES if audit.run.n_classes <= MANY else CLASSES // 2
    for name in [name for name in dict.fromkeys([*order, *of]) if name in of][:shown]:
        images = []
        for turn, _, i in sorted(of[name])[:most]:
            row = found[i]
            one = kept.get(name, {}).get(row["id"]) if maps else None
            maps -= one is not None
            caption = f"{row['predicted']} {chance(row['probability'])}"
            alt = f"Test instance {row['id']} of {name}, predicted {caption}"
            images.append(
                {
                    "at": sheet.at("test", row["id"]),
                    "preview": others.at("test", row["id"]),
                    "map": None if one is None else _overlays.drawing(one, f"{alt}; activation map of {name}"),
                    "number": i,
                    "id": row["id"],
                    "anchor": anchor(name, row["predicted"]) if turn == 1 else "",
                    "caption": caption,
                    "alt": alt,
                }
            )
        groups.append({"name": name, "images": images, "count": int(pairs["count"][pairs["class"] == name].sum())})
    return groups


def anchors(groups: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the addresses of cells that the page has without a script."""
    return frozenset(image["anchor"] for group in groups for image in group["images"] if image["anchor"])


def key(audit: AuditFields) -> str:
    """Return the name under which a browser keeps the ticks of a page: the same for the same suspects and errors."""
    return hashlib.sha256("\0".join(_lens_parts.ticked_ids(audit.findings)).encode()).hexdigest()[:16]


def data(audit: AuditFields, found: Sequence[Mapping[str, Any]], only: str | None = None) -> str | None:
    """Return all listed errors for the script, deflated; None where there are none.

    `errors`: id, class, predicted, probability, and place and class of each nearest instance; `ids`: of those instances;
    `pairs`: class, predicted, errors, confident errors, of the class `only` if there is one. Classes and predictions are
    numbers; `predictions` names the latter.
    """
    if not found:
        return None
    multilabel = audit.run.train.multilabel
    predictions = ["negative", "positive"] if multilabel else list(audit.run.classes)
    number = {name: i for i, name in enumerate(audit.run.classes)}
    predicted = {name: i for i, name in enumerate(predictions)}
    ids: dict[str, int] = {}
    listed_ = [
        [
            row["id"],
            number[row["class"]],
            predicted[row["predicted"]],
            round(row["probability"], 4),
            [[ids.setdefault(near["id"], len(ids)), predicted[near["class"]]] for near in row["neighbours"][:NEAR]],
        ]
        for row in found
    ]
    pairs = audit.findings[_lens_parts.ERRORS].tables["error_pairs"]
    counted = [
        [number[a], predicted[b], int(n), int(sure)]
        for a, b, n, sure in zip(pairs["class"], pairs["predicted"], pairs["count"], pairs["confident"], strict=True)
        if only in (None, a)
    ]
    held = {"errors": listed_, "ids": list(ids), "pairs": counted, "predictions": predictions}
    return deflated(held)
