"""An audit and a comparison in marimo: marimo edit examples/notebooks/digits_marimo.py"""

import marimo

app = marimo.App()


@app.cell
def _():
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    import imblens

    X, y = load_digits(return_X_y=True)
    test = np.random.default_rng(0).random(len(y)) < 0.3
    train = np.concatenate([np.flatnonzero(~test & (y == c))[: 100 - 10 * c] for c in range(10)])
    model = LogisticRegression(max_iter=2000).fit(X[train], y[train])
    arrays = [(X[rows], y[rows], model.decision_function(X[rows])) for rows in (train, test)]
    run = imblens.Run.from_arrays(train=arrays[0], test=arrays[1], head=(model.coef_, model.intercept_))
    return imblens, run


@app.cell
def _(imblens, run):
    audit = imblens.audit(run, lenses=["class_accuracy", "archetypes"])
    audit  # noqa: B018
    return (audit,)


@app.cell
def _(imblens, run):
    comparison = imblens.compare([run, imblens.treat(run, "logit_adjustment", tau=1)], names=["as trained", "adjusted"])
    comparison  # noqa: B018
    return (comparison,)


if __name__ == "__main__":
    app.run()
