"""Whole models built like a decoder of transformers 5 and like Switch Transformers: names, places and results as there; attention is a running mean."""
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

import standins


class Norm(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(m))

    def forward(self, x):
        return self.weight * (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.o_proj = nn.Linear(m, m, bias=False)

    def forward(self, hidden_states):
        count = torch.arange(1, hidden_states.shape[1] + 1)[:, None]
        return self.o_proj((hidden_states.float().cumsum(1) / count).to(hidden_states.dtype)), None


class DecoderLayer(nn.Module):
    def __init__(self, m, mlp):
        super().__init__()
        self.self_attn, self.mlp, self.input_layernorm, self.post_attention_layernorm = Attention(m), mlp, Norm(m), Norm(m)

    def forward(self, hidden_states):
        hidden_states = hidden_states + self.self_attn(self.input_layernorm(hidden_states))[0]
        y = self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states + (y[0] if isinstance(y, tuple) else y)


class Decoder(nn.Module):
    def __init__(self, m, vocabulary, blocks):
        super().__init__()
        self.embed_tokens, self.norm = nn.Embedding(vocabulary, m), Norm(m)
        self.layers = nn.ModuleList(DecoderLayer(m, block) for block in blocks)

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class LanguageModel(nn.Module):
    """A dense layer, then the sparse ones that are given."""

    def __init__(self, blocks, m=12, vocabulary=20):
        super().__init__()
        self.model, self.lm_head = Decoder(m, vocabulary, [standins.init(standins.Mlp(m, 16)), *blocks]), nn.Linear(m, vocabulary, bias=False)

    def forward(self, input_ids, attention_mask=None, labels=None):
        logits, loss = self.lm_head(self.model(input_ids)), None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten().long(), ignore_index=-100)
        return SimpleNamespace(logits=logits, loss=loss)


class SelfAttention(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.SelfAttention, self.layer_norm = Attention(m), Norm(m)

    def forward(self, hidden_states, other=None):
        y = self.SelfAttention(self.layer_norm(hidden_states))[0]
        return (hidden_states + y if other is None else hidden_states + y + other.mean(1, keepdim=True),)


class FeedForward(nn.Module):
    def __init__(self, m, mlp):
        super().__init__()
        self.mlp, self.layer_norm = mlp, Norm(m)

    def forward(self, hidden_states):
        return (hidden_states + self.mlp(self.layer_norm(hidden_states))[0],)


class Block(nn.Module):
    def __init__(self, m, is_decoder):
        super().__init__()
        self.layer = nn.ModuleList([SelfAttention(m), *([SelfAttention(m)] if is_decoder else []), FeedForward(m, standins.SwitchBlock(m))])

    def forward(self, hidden_states, other=None):
        for layer in self.layer[:1]:
            hidden_states = layer(hidden_states)[0]
        for layer in self.layer[1:-1]:
            hidden_states = layer(hidden_states, other)[0]
        return self.layer[-1](hidden_states)


class Stack(nn.Module):
    def __init__(self, embed, m, is_decoder):
        super().__init__()
        self.embed_tokens, self.block, self.final_layer_norm = embed, nn.ModuleList([Block(m, is_decoder)]), Norm(m)

    def forward(self, ids, other=None):
        x = self.embed_tokens(ids)
        for block in self.block:
            x = block(x, other)[0]
        return self.final_layer_norm(x)


class SwitchModel(nn.Module):
    def __init__(self, m=12, vocabulary=20):
        super().__init__()
        self.shared, self.lm_head = nn.Embedding(vocabulary, m), nn.Linear(m, vocabulary, bias=False)
        self.encoder, self.decoder = Stack(self.shared, m, False), Stack(self.shared, m, True)

    def forward(self, input_ids, decoder_input_ids, attention_mask=None, labels=None):
        logits = self.lm_head(self.decoder(decoder_input_ids, self.encoder(input_ids)))
        loss = None if labels is None else F.cross_entropy(logits.float().flatten(0, 1), labels.flatten().long(), ignore_index=-100)
        return SimpleNamespace(logits=logits, loss=loss, encoder_z_loss=logits.sum() * 0)
