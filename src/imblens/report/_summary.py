"""Everything a report states, as one plain mapping. Page, notebook, terminal and findings.json only render it."""

from __future__ import annotations

from typing import Any

import numpy as np

from imblens.base.plain import plain
from imblens.lenses import all_lenses, class_measures, lens_info
from imblens.lenses.diagnosis import USUAL
from imblens.report._class_rows import class_rows, command, mean_accuracy, worst_first
from imblens.report._data import AuditFields, Lines
from imblens.report._errors import STATED
from imblens.report._errors import rows as error_rows
from imblens.report._html import heading
from imblens.report._reproduction import audit_command, describe, digests, settings, used_versions
from imblens.report._sentences import class_sentence, reason, statements
from imblens.run import group_name

UNJUDGED = "too few to tell"  # a cause whose advice is more instances, not what to try


def summary(audit: AuditFields) -> dict[str, Any]:
    """Return everything the report of an audit states, as plain JSON values; unknown is None, never NaN.

    Args:
        audit: what `imblens.audit` returned.

    Returns:
        A new mapping with the keys

        - `title`: data, network, loss and treatment in a few words; `task`: "multiclass" or "multilabel"; `of`: the class
          of interest or None; `splits`: instances of each split; `groups`: groups of each split, where known, and `group`: what
          they are, in one word; `n_classes`, `n_features`.
        - `assumptions`: what was assumed or converted when the run was made, a sentence each. `class_order`: that the order
          of classes in labels and logits seems to disagree, "" where it does not; it is the first line of the verdict.
        - `verdict`: all lines of the verdict, in order. They are also given apart: `headline` (the class of interest, else
          the worst class; all labels, where these are ranked), `reason` (the cause in that class, or in the label ranked worst,
          and what to try; "" where unknown), `statements` (on all classes), `next_worst`.
        - `mean_accuracy`: mean over the classes with test instances. `need_help`: classes whose 95% interval is below it,
          worst first; in multi-label runs those ranked weakly or below chance. `next_treatment`: the treatment to try
          first; where no class has one, the advice for the worst class that has any; more test instances where no label can be
          judged. `order`: classes with a known
          accuracy, the class of interest first, then worst first (labels by AUROC; those with too few positives come last, most
          positives first).
        - `class_table`: a mapping per class, in the order of the run: `class`, `multilabel`, `train_count`, `imbalance`,
          `rarity` (text), `test_count`, `test_groups` (None where no groups are known), `group` (what they are, in one
          word), `too_few` (below 10 test instances or groups), `accuracy`, `accuracy_low`, `accuracy_high`, `needs_help`,
          `false_positive_rate` and `too_many_positives` (multi-label), `auroc`, `auroc_low`, `auroc_high`,
          `average_precision`, `prevalence`, `ranking` ("good", "weak", "below chance", "undetermined"), `threshold` (None,
          or `threshold`, `recall`, `precision`, intervals of both, `specificity`, `recall_at_half`, `chosen_on`,
          `positives` that chose it, `groups` of them (None where unknown), `few` below ten), `errors` (test errors),
          `errors_to` and `expected_errors_to` (None, or `class` and `share`), `archetypes` (share of each), `cause`,
          `evidence`, `evidence_lens`, `treatment`, `command`, `sentence`, `reason`, `measures` (name of a class measure ->
          value).
        - `measures`: the class measures that lenses declare: name -> `lens`, `title`, `better` ("higher", "lower" or None).
        - `copies`: `count` of test instances that equal a training instance (None without a test split), and whether that
          is `notable`; `shared_patients`: patients in both training and test split.
        - `errors`: the 100 most confident listed test errors: `id`, `class`, `predicted`, `probability`, `neighbours` (`id` and
          `class` of the nearest training instances). The table `errors` lists more.
        - `lenses`: name -> `question`, `lines` (class -> sentence, "" for all classes), `notes`.
        - `skipped`: name -> `question`, `reason`.
        - `deployment`: results of `imblens.decisions` that were asked for, each with `question`, `explanation`, `lines`,
          `columns`, `rows` (text) and `notes`.
        - `commands`: `audit` (gives this report again), `next` (applies `next_treatment`; "" where that is advice).
        - `reproduction`: `settings`, `versions`, `sha256`, each name -> text, and `seed`.

    Example:
        >>> import numpy as np, imblens
        >>> features, labels = np.eye(3)[[0, 0, 0, 1]], np.array([0, 0, 0, 1])
        >>> run = imblens.Run.from_arrays(train=(features, labels), classes=("cat", "dog"))
        >>> stated = summary(imblens.audit(run, lenses=["class_accuracy"]))
        >>> stated["skipped"]["class_accuracy"]["reason"], stated["class_table"][1]["imbalance"]
        ('The run has no test split.', 3.0)
    """
    run, findings = audit.run, audit.findings
    rows = class_rows(run, findings)
    order = worst_first(rows, audit.of)
    lines = Lines(findings)
    lenses = {
        name: {"question": lens_question(name), "lines": lines.of(name), "notes": finding.notes}
        for name, finding in findings.items()
    }
    measures = class_measures(findings)
    values = {name: known.values.to_dict() for name, known in measures.items()}
    for row in rows:
        row["measures"] = {name: of_class.get(row["class"]) for name, of_class in values.items()}
        row |= {"sentence": class_sentence(lines, row), "reason": reason(lines, row)}
    treatment = _first_treatment(run.task, order, audit.of)
    found: dict[str, Any] = {
        "title": describe(run.meta),
        "task": run.task,
        "of": audit.of,
        "splits": {name: len(split) for name, split in run.splits.items()},
        "groups": {
            name: len(np.unique(split.groups)) for name, split in run.splits.items() if split.groups is not None
        },
        "group": group_name(run),
        "n_classes": run.n_classes,
        "n_features": run.dim,
        **statements(run, lines, rows, audit.of),
        "mean_accuracy": mean_accuracy(rows),
        "need_help": [row["class"] for row in worst_first(rows) if row["needs_help"]],
        "next_treatment": treatment,
        "order": [row["class"] for row in order],
        "class_table": rows,
        "measures": {
            name: {"lens": known.lens, "title": known.measure.title, "better": known.measure.better}
            for name, known in measures.items()
        },
        "errors": error_rows(audit, STATED),
        "lenses": lenses,
        "skipped": {name: _skipped(name, text) for name, text in audit.skipped.items()},
        "deployment": [dict(part) for part in audit.deployment],
        "commands": {"audit": audit_command(audit), "next": command(treatment)},
        "reproduction": {
            "settings": dict([*settings(run.meta), *_options(audit)]),
            "versions": dict(used_versions(run.meta)),
            "sha256": dict(digests(run)),
            "seed": run.meta.get("seed"),
        },
    }
    plain_found: dict[str, Any] = plain(found)
    return plain_found


def verdict(audit: AuditFields) -> list[str]:
    """Return the lines of the verdict alone, which needs neither hashes nor the lines of all lenses."""
    rows = class_rows(audit.run, audit.findings)
    stated: list[str] = statements(audit.run, Lines(audit.findings), rows, audit.of)["verdict"]
    return stated


def next_treatment(audit: AuditFields) -> str:
    """Return `next_treatment` of the summary alone: what to try first."""
    run = audit.run
    return _first_treatment(run.task, worst_first(class_rows(run, audit.findings), audit.of), audit.of)


def _first_treatment(task: str, order: list[dict[str, Any]], of: str | None) -> str:
    """What is advised for the class of interest; else the first treatment, else the first advice in words, else the usual.

    Where no label can be judged, no treatment can be either.
    """
    if of is not None and order and order[0]["class"] == of and order[0]["treatment"]:
        return str(order[0]["treatment"])
    if task == "multilabel" and order and all(row["cause"] == UNJUDGED for row in order):
        judged = any(not row["too_few"] for row in order)
        why = "these cannot show how well any is ranked" if judged else "none has enough to be judged by"
        return f"more test instances that have the labels: {why}"
    named = [str(row["treatment"]) for row in order if row["command"]]
    worded = [f"{row['class']}: {row['treatment']}" for row in order if row["treatment"] and row["cause"] != UNJUDGED]
    return (named or worded or [USUAL[task]])[0]


def lens_question(name: str) -> str:
    """Return the question of a lens; its name as a heading where it declares none."""
    known = all_lenses().get(name)
    return (lens_info(known).question if known is not None else "") or heading(name)


def _skipped(name: str, text: str) -> dict[str, str]:
    text = text.removeprefix(f"{name}: ")
    return {"question": lens_question(name), "reason": text[:1].upper() + text[1:]}


def _options(audit: AuditFields) -> list[tuple[str, str]]:
    return [
        (f"option {key} of {lens}", str(value)) for lens, all_ in audit.options.items() for key, value in all_.items()
    ]
