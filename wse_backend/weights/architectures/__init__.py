"""The families of models that the engine runs, one file each; `description.py` says what may differ.

Every `Architecture` that a file of this folder defines is found. Adding one is adding a file.
"""

import pkgutil
from importlib import import_module

from wse_backend.weights.architectures.description import Architecture, Experts

ARCHITECTURES: dict[str, Architecture] = {
    value.name: value
    for module in pkgutil.iter_modules(__path__)
    for value in vars(import_module(f"{__name__}.{module.name}")).values()
    if isinstance(value, Architecture)
}

__all__ = ["ARCHITECTURES", "Architecture", "Experts"]
