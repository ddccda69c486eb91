"""Which labels occur together?"""

from imblens.lenses.co_occurrence.measure import co_occurrence as co_occurrence
