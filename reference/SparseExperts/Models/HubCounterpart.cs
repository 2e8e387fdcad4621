using System.Text.Json.Nodes;

namespace SparseExperts.Models;

/// <summary>What the hub's library reads a model of this program as.</summary>
/// <param name="Config">Its <c>config.json</c>.</param>
/// <param name="SentencePiece">The name that its tokenizer has, where that is a model of SentencePiece; null keeps the file's own.</param>
public sealed record HubCounterpart(JsonObject Config, string? SentencePiece = null);
