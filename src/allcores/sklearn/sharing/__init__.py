"""Work that is the same is done once: calls of scikit-learn's ``_fit_and_score`` become units that share it.

``units`` decides which calls run together (``units.py``); a ``Unit`` runs the calls of one fold with scikit-learn's
own code (``fold.py``), while a ``Memo`` knows what has been computed already (``memo.py``). What may be shared is
decided at the moment when it would be computed again: transformers before the last step (``prefixes.py``) and
ensembles of which a smaller one is the beginning of a larger one (``sizes.py``), if ``keys.py`` says that two of them
are the same.
"""

from allcores.sklearn.sharing.calls import FitCall
from allcores.sklearn.sharing.units import Unit, units

__all__ = ["FitCall", "Unit", "units"]
