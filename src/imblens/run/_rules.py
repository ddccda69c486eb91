"""What the arguments of `Run` may be."""

from __future__ import annotations

from imblens.base.arguments import (
    Rule,
    a_function,
    a_path,
    column,
    columns,
    either,
    flag,
    listed,
    mapping,
    one_of,
    whole,
)

_META = {"meta": mapping("facts to store", optional=True)}
_TASK = {"task": one_of("multiclass", "multilabel", optional=True)}
_ONE, _SOME = column(optional=True), columns(optional=True)
FROM_ARRAYS: dict[str, Rule] = {**_META, **_TASK}
FROM_TABLE: dict[str, Rule] = {
    **FROM_ARRAYS,
    **{"features": columns(), "label": _SOME, "logits": columns(least=1, optional=True)},
    **{"split": _ONE, "id": _ONE, "group": _ONE, "preview": _ONE},
}
FROM_SKLEARN: dict[str, Rule] = {
    **_META,
    "classes": listed("a list of names, or a mapping of label values to names", optional=True),
}
NEIGHBOURS: dict[str, Rule] = {
    "k": whole(1),
    "approximate": either(flag(optional=True), one_of("cuvs")),
    "progress": a_function(optional=True),
}
SAVE: dict[str, Rule] = {"path": a_path(), "force": flag()}
