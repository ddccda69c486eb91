"""Whether a class is ranked well: four outcomes, by the interval of its AUROC."""

from __future__ import annotations

import math

from imblens.base.wording import FEW

GOOD, AT_LEAST = 0.8, 0.7  # AUROC of a good ranking, and what its interval must exceed
OUTCOMES = ("good", "weak", "below chance", "undetermined")


def outcome(auroc: float, low: float, high: float, n: float = FEW) -> str:
    """Judge a ranking by the 95% interval of its AUROC.

    below chance: the interval ends below 0.5. weak: it ends below 0.8. good: the AUROC is 0.8 or more, and its interval
    begins above 0.7. undetermined: all others, and fewer than ten positives (or groups of them).

    Args:
        auroc, low, high: the AUROC and the ends of its interval; NaN is undetermined.
        n: positives, or groups of them.

    References:
        Hosmer, Lemeshow and Sturdivant 2013, Applied logistic regression, section 5.2.4: 0.7 to 0.8 is acceptable, above
        0.8 excellent. That the interval decides is ours.

    Example:
        >>> outcome(0.62, 0.38, 0.81), outcome(0.28, 0.21, 0.37), outcome(0.66, 0.6, 0.72), outcome(0.9, 0.82, 0.95)
        ('undetermined', 'below chance', 'weak', 'good')
    """
    if n < FEW or any(map(math.isnan, (auroc, low, high))):
        return "undetermined"
    if high < 0.5:
        return "below chance"
    if high < GOOD:
        return "weak"
    return "good" if auroc >= GOOD and low > AT_LEAST else "undetermined"
