"""Architectures of transformers, with random weights by their configurations' published sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import transformers
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from tools.zoo.architecture import Architecture, Built


class Results(torch.nn.Module):
    """A model whose named results stand in a tuple; `names` says which."""

    def __init__(self, model: Any, *names: str, **options: Any) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.options = options

    def forward(self, *inputs: Any) -> Any:
        """The chosen results on inputs in the model's own order."""
        results = self.model(*inputs, **self.options)
        return tuple(getattr(results, name) for name in self.names)


class CachedStep(torch.nn.Module):
    """A language model on tokens that follow others, whose keys and values it is given."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Any, *cached: Any) -> Any:
        """Logits, then each layer's keys and values with the new tokens'."""
        cache = _cache(cached)
        logits = self.model(input_ids=tokens, past_key_values=cache, use_cache=True).logits
        return (logits, *_contents(cache))


class PromptThenCache(torch.nn.Module):
    """A language model on a prompt: logits of its last token, and the keys and values of all."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Any) -> Any:
        """Logits, then each layer's keys and values."""
        cache = DynamicCache()
        logits = self.model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return (logits, *_contents(cache))


class SpeechDecoder(torch.nn.Module):
    """Whisper's decoder on tokens and an encoded recording, with logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder = model.model.decoder
        self.proj_out = model.proj_out

    def forward(self, tokens: Any, recording: Any) -> Any:
        """Logits of all tokens."""
        hidden = self.decoder(input_ids=tokens, encoder_hidden_states=recording, use_cache=False)
        return self.proj_out(hidden.last_hidden_state)


class SpeechDecoderStep(torch.nn.Module):
    """Whisper's decoder on one token, given the keys and values of earlier tokens and of the recording."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder = model.model.decoder
        self.proj_out = model.proj_out

    def forward(self, token: Any, *cached: Any) -> Any:
        """Logits; the first half of `cached` is of tokens, the second of the recording."""
        half = len(cached) // 2
        cache = EncoderDecoderCache(_cache(cached[:half]), _cache(cached[half:]))
        for layer in range(half // 2):
            cache.is_updated[layer] = True
        # The recording's keys and values are in the cache; its states only say that there is one.
        states = torch.zeros(1, 1, self.decoder.config.d_model)
        hidden = self.decoder(
            input_ids=token, encoder_hidden_states=states, past_key_values=cache, use_cache=True
        )
        return self.proj_out(hidden.last_hidden_state)


def _cache(tensors: tuple[Any, ...]) -> Any:
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(zip(tensors[::2], tensors[1::2], strict=True)):
        cache.update(keys, values, layer)
    return cache


def _contents(cache: Any) -> tuple[Any, ...]:
    return tuple(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))


def _tokens(number: int) -> Any:
    return torch.randint(0, 1000, (1, number))


def _kept(layers: int, heads: int, tokens: int, width: int) -> list[Any]:
    """Keys and values of each layer, already computed."""
    return [torch.randn(1, heads, tokens, width) for _ in range(2 * layers)]


def _bert(tokens: int) -> Built:
    model = transformers.BertModel(transformers.BertConfig(attn_implementation="eager"))
    return Results(model, "last_hidden_state", "pooler_output"), (_tokens(tokens),)


def _gpt2(tokens: int) -> Built:
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    return Results(model, "logits", use_cache=False), (_tokens(tokens),)


def _gpt2_step(earlier: int) -> Built:
    return CachedStep(transformers.GPT2LMHeadModel(transformers.GPT2Config())), (
        _tokens(1),
        *_kept(12, 12, earlier, 64),
    )


def _llama() -> Any:
    """Sizes of Llama 3.2 1B: 32 heads of width 64, four of which share each of 8 heads of keys and values."""
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=128_256,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            max_position_embeddings=131_072,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
        )
    )


def _llama_prompt(tokens: int) -> Built:
    return PromptThenCache(_llama()), (_tokens(tokens),)


def _llama_step(earlier: int) -> Built:
    return CachedStep(_llama()), (_tokens(1), *_kept(16, 8, earlier, 64))


def _whisper() -> Any:
    """Sizes of Whisper tiny: width 384, 4 layers, 6 heads."""
    return transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            d_model=384,
            encoder_layers=4,
            decoder_layers=4,
            encoder_attention_heads=6,
            decoder_attention_heads=6,
            encoder_ffn_dim=1536,
            decoder_ffn_dim=1536,
            vocab_size=51_865,
        )
    )


def _whisper_encoder() -> Built:
    return Results(_whisper().model.encoder, "last_hidden_state"), (torch.randn(1, 80, 3000),)


def _whisper_decoder(tokens: int) -> Built:
    return SpeechDecoder(_whisper()), (_tokens(tokens), torch.randn(1, 1500, 384))


def _whisper_step(earlier: int) -> Built:
    return SpeechDecoderStep(_whisper()), (_tokens(1), *_kept(4, 6, earlier, 64), *_kept(4, 6, 1500, 64))


def language_architectures() -> list[Architecture]:
    """All of them; those that are bundled first."""
    return [
        Architecture("bert_base", "language", "128 tokens", partial(_bert, 128)),
        Architecture("gpt2", "language", "1,024 tokens", partial(_gpt2, 1024), note="logits of all tokens"),
        Architecture("gpt2_decode", "language", "1 token after 1,023", partial(_gpt2_step, 1023)),
        Architecture(
            "llama_1b", "language", "512 tokens", partial(_llama_prompt, 512),
            note="logits of the last token; keys and values are results",
        ),
        Architecture("llama_1b_decode", "language", "1 token after 511", partial(_llama_step, 511)),
        Architecture("whisper_tiny_encoder", "speech", "30 s, 80x3,000", _whisper_encoder),
        Architecture(
            "whisper_tiny_decoder", "speech", "4 tokens, 1,500x384", partial(_whisper_decoder, 4),
            note="with the keys and values of the encoded recording, which every later token uses",
        ),
        Architecture("whisper_tiny_decode", "speech", "1 token after 223", partial(_whisper_step, 223)),
    ]  # fmt: skip
