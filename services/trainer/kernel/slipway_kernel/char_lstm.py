"""Characters through a stack of LSTM cells, with the names and the config of docs/char-lstm.md. Knows no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from slipway_kernel.protocol import Failure

MODEL_TYPE = "char-lstm"


@dataclass
class Output:
    logits: Tensor
    cache: tuple[Tensor, Tensor]


class CharLstm(nn.Module):
    """Called like a model of transformers, as far as the kernel calls one; its cache is the state."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        for refused in ("bidirectional", "proj_size"):
            if config.get(refused):
                raise Failure("user_input", f"a char-lstm has no {refused}")
        vocabulary, embedding, hidden = config["vocab_size"], config["embedding_size"], config["hidden_size"]
        layers, tied = config["num_layers"], config.get("tie_word_embeddings", False)
        dropout = config.get("dropout", 0.0)
        if tied and embedding != hidden:
            raise Failure("user_input", "a char-lstm with tied embeddings needs embedding_size equal to hidden_size")
        self.config = config
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(
            embedding,
            hidden,
            layers,
            bias=config.get("bias", True),
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.head = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, input_ids: Tensor, cache: tuple[Tensor, Tensor] | None = None, use_cache: bool = False) -> Output:
        hidden, state = self.lstm(self.dropout(self.embedding(input_ids)), cache)
        return Output(self.head(self.dropout(hidden)), state)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds: no `head.weight` beside an embedding that it is tied to."""
        tied = self.head.weight is self.embedding.weight
        return {name: tensor for name, tensor in self.state_dict().items() if not (tied and name == "head.weight")}

    def load(self, tensors: dict[str, Tensor]) -> None:
        if self.head.weight is self.embedding.weight:
            tensors = {**tensors, "head.weight": tensors["embedding.weight"]}
        if "head.bias" not in tensors:
            tensors = {**tensors, "head.bias": torch.zeros_like(self.head.bias)}
        self.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
