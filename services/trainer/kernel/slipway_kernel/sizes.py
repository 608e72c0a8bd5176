"""How large a model is: its parameters, and what one token of training takes of operations and of memory. Trains nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from slipway_kernel.models import LanguageModel


def count_parameters(module: nn.Module) -> int:
    """Of weights in 4 bits each, though two lie in a byte."""
    return sum(_count(parameter) for parameter in module.parameters())


def bytes_per_token(model: LanguageModel, checkpointing: bool) -> int:
    """Of what a forward pass keeps for the backward pass, roughly, and of the logits and their gradients."""
    config = _config(model)
    layers = config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers") or 1
    hidden = config.get("hidden_size") or config.get("n_embd") or 1
    inner = config.get("intermediate_size") or config.get("n_inner") or 4 * hidden
    kept = 2 * hidden if checkpointing else 16 * hidden + 4 * inner
    return int(4 * (layers * kept + 3 * model.vocabulary_size))


def flops_per_token(model: LanguageModel, tokens: float) -> float:
    """As model FLOPs utilisation is commonly counted: products of matrices only, attention over all `tokens` of a sequence, nothing twice
    that is computed twice. Two for each weight forward, two for the gradient behind it, and two for its own when it trains."""
    module = model.module
    head = module.get_output_embeddings().weight if hasattr(module, "get_output_embeddings") else None
    looked_up = {
        id(parameter)
        for child in module.modules()
        if isinstance(child, nn.Embedding)
        for parameter in child.parameters(recurse=False)
        if parameter is not head
    }
    weights = sum((6 if each.requires_grad else 4) * _count(each) for each in module.parameters() if id(each) not in looked_up)
    config = _config(model)
    layers = config.get("num_hidden_layers") or config.get("n_layer") or 0
    heads = config.get("num_attention_heads") or config.get("n_head") or 0
    width = heads * config["head_dim"] if config.get("head_dim") else config.get("hidden_size") or config.get("n_embd") or 0
    return weights + (12 * layers * width * tokens if heads else 0)


def _count(parameter: nn.Parameter) -> int:
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(state.shape.numel())


def _config(model: LanguageModel) -> dict[str, Any]:
    config = model.module.config
    result: dict[str, Any] = config if isinstance(config, dict) else config.get_text_config().to_dict()
    return result
