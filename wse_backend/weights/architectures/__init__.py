"""The families of models that the engine runs, one file each; `description.py` says what may differ."""

from wse_backend.weights.architectures.description import Architecture, Experts
from wse_backend.weights.architectures.gemma2 import GEMMA2
from wse_backend.weights.architectures.gemma3 import GEMMA3
from wse_backend.weights.architectures.gpt_oss import GPT_OSS
from wse_backend.weights.architectures.granite import GRANITE
from wse_backend.weights.architectures.granitemoe import GRANITEMOE
from wse_backend.weights.architectures.llama import LLAMA
from wse_backend.weights.architectures.olmo2 import OLMO2
from wse_backend.weights.architectures.olmoe import OLMOE
from wse_backend.weights.architectures.phi3 import PHI3
from wse_backend.weights.architectures.qwen2 import QWEN2
from wse_backend.weights.architectures.qwen2moe import QWEN2MOE
from wse_backend.weights.architectures.qwen3 import QWEN3
from wse_backend.weights.architectures.qwen3moe import QWEN3MOE
from wse_backend.weights.architectures.smollm3 import SMOLLM3

_DENSE = (LLAMA, QWEN2, QWEN3, GEMMA2, GEMMA3, PHI3, GRANITE, SMOLLM3, OLMO2)
_WITH_EXPERTS = (QWEN2MOE, QWEN3MOE, OLMOE, GRANITEMOE, GPT_OSS)

ARCHITECTURES: dict[str, Architecture] = {family.name: family for family in (*_DENSE, *_WITH_EXPERTS)}

__all__ = ["ARCHITECTURES", "Architecture", "Experts"]
