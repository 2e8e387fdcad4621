using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>What recordings call the router of a layer.</summary>
static class RouterNames
{
    /// <summary>The name by its layer: <c>router.model.layers.0.mlp.gate</c>.</summary>
    public static string Find(Recording recording, int layer)
    {
        var own = recording.Names.Where(n => n.StartsWith("router.", StringComparison.Ordinal) && n.Contains($".layers.{layer}.", StringComparison.Ordinal));
        var names = own.Select(n => n.EndsWith(".gates", StringComparison.Ordinal) ? n[..^6] : n.EndsWith(".experts", StringComparison.Ordinal) ? n[..^8] : n);
        return names.FirstOrDefault() ?? $"router.layers.{layer}";
    }

    /// <summary>What the tensor of that name is: logits, but where a library's router returns something else first.</summary>
    public static RouterRecord Kind(HubModel model, Recording recording, int layer)
    {
        var name = Find(recording, layer);
        if (model.Form.IsGemma) return RouterRecord.Scores;
        if (recording.Find(name) is not { } tensor) return RouterRecord.Logits;
        if (tensor.DType.StartsWith('I')) return RouterRecord.Choice;
        return model.Form.ModelType == "gpt_oss" && !recording.Has($"{name}.gates") ? RouterRecord.DenseGates : RouterRecord.Logits;
    }
}
