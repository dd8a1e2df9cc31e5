"""The families of models that the engine runs, one file each; `description.py` says what may differ."""

from wse_backend.weights.architectures.description import Architecture, Experts
from wse_backend.weights.architectures.gemma2 import GEMMA2
from wse_backend.weights.architectures.gemma3 import GEMMA3
from wse_backend.weights.architectures.granite import GRANITE
from wse_backend.weights.architectures.llama import LLAMA
from wse_backend.weights.architectures.olmo2 import OLMO2
from wse_backend.weights.architectures.phi3 import PHI3
from wse_backend.weights.architectures.qwen2 import QWEN2
from wse_backend.weights.architectures.qwen3 import QWEN3
from wse_backend.weights.architectures.smollm3 import SMOLLM3

_FAMILIES = (LLAMA, QWEN2, QWEN3, GEMMA2, GEMMA3, PHI3, GRANITE, SMOLLM3, OLMO2)

ARCHITECTURES: dict[str, Architecture] = {family.name: family for family in _FAMILIES}

__all__ = ["ARCHITECTURES", "Architecture", "Experts"]
