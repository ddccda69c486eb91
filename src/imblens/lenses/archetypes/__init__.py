"""Which instances are typical of their class, and which are not?"""

from imblens.lenses.archetypes.measure import (
    ARCHETYPES,
    archetype_instances,
    archetype_members,
    archetypes,
    instance_archetypes,
)
from imblens.lenses.archetypes.medoids import medoid, medoids

__all__ = [
    "ARCHETYPES",
    "archetype_instances",
    "archetype_members",
    "archetypes",
    "instance_archetypes",
    "medoid",
    "medoids",
]
