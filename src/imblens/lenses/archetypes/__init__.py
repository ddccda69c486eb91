"""Which instances are typical of their class, and which are not?"""

from imblens.base.archetypes import ARCHETYPES as ARCHETYPES
from imblens.lenses.archetypes.measure import archetype_members as archetype_members
from imblens.lenses.archetypes.measure import archetypes as archetypes
from imblens.lenses.archetypes.measure import instance_archetypes as instance_archetypes
from imblens.lenses.archetypes.medoids import medoid as medoid
from imblens.lenses.archetypes.medoids import medoids as medoids
