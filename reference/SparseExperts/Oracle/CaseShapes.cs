using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// The names of the format moe-case/1 and their shapes, in axis letters: G groups, S tokens per group, M width, E experts, k choices,
/// C slots, F hidden width, P soft slots. Equal letters are equal numbers in one file, so that what follows can rely on them.
/// </summary>
static class CaseShapes
{
    /// <summary>Besides the axis letters: X experts with weights, H shared hidden width, V ids, J table columns, R groups of experts, I experts of a group.</summary>
    const string Table = """
        x GSM; padding GS; token_ids GS; task_ids GS
        router.weight EM; router.bias E; router.correction_bias E; router.previous_count E; router.noise_weight EM
        router.primary.weight RM; router.primary.noise_weight RM; router.secondary.weight RIM; router.secondary.noise_weight RIM
        router.slots EPM; router.scale; router.table VJ
        experts.x GSM; experts.wi XFM; experts.wi_gate XFM; experts.wo XMF; experts.bi XF; experts.bi_gate XF; experts.bo XM
        shared.wi HM; shared.wi_gate HM; shared.wo MH; shared.gate M
        cotangent.y GSM; cotangent.losses
        claim.logits GSE; claim.scores GSE; claim.capacity; claim.expert GSk; claim.slot GSk; claim.gate GSk
        claim.token GEC; claim.combine GSE; claim.slot_dispatch GSEP; claim.slot_combine GSEP; claim.count GE; claim.y GSM
        claim.correction_bias E
        """;

    static readonly Dictionary<string, string> Shapes = Table.Split([';', '\n'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Select(entry => entry.Split(' ')).Select(parts => (Name: parts[0], Shape: parts.Length > 1 ? parts[1] : ""))
        .Concat(DrawKinds.All.Select(kind => (Name: $"draws.{kind.Name}", kind.Shape))).ToDictionary(entry => entry.Name, entry => entry.Shape);

    const string Gradient = "claim.grad.", Loss = "claim.loss.";

    /// <summary>The letters of a tensor, or null for a name that the format does not have.</summary>
    static string? Of(string name) => Shapes.TryGetValue(name, out var shape) ? shape
        : name.StartsWith(Loss, StringComparison.Ordinal) && name.Length > Loss.Length ? ""
        : name.StartsWith(Gradient, StringComparison.Ordinal) && !name[Gradient.Length..].StartsWith("claim.", StringComparison.Ordinal) ? Shapes.GetValueOrDefault(name[Gradient.Length..]) : null;

    /// <summary>Refuses a tensor that the format does not have, or whose shape does not fit the others'.</summary>
    public static void Check(string path, IEnumerable<CaseTensor> tensors)
    {
        var sizes = new Dictionary<char, (long Size, string From)>();
        foreach (var tensor in tensors.OrderBy(t => t.Name == "x" ? 0 : t.Name.StartsWith("claim.", StringComparison.Ordinal) ? 2 : 1))
        {
            var letters = Of(tensor.Name) ?? throw new CaseException($"{path}: unknown tensor '{tensor.Name}'; near it are {string.Join(", ", BuiltIn.Nearest(tensor.Name, Shapes.Keys))}; names under x. are free");
            var shape = letters.Length == 0 && tensor.Shape is [1] ? [] : tensor.Shape;
            string Given() => $"{path}: {tensor.Name} is [{string.Join(", ", tensor.Shape.Take(8))}]";
            if (shape.Length != letters.Length) throw new CaseException($"{Given()}; give it {(letters.Length == 0 ? "as one number" : $"as [{string.Join(", ", letters.AsEnumerable())}]")}");
            for (var i = 0; i < shape.Length; i++)
            {
                // A capacity may be 0, anything else is at least 1.
                if (shape[i] > int.MaxValue || shape[i] < 1 && letters[i] != 'C') throw new CaseException($"{Given()}; its {letters[i]} cannot be {shape[i]}");
                if (sizes.TryAdd(letters[i], (shape[i], tensor.Name))) continue;
                if (sizes[letters[i]] is var known && known.Size != shape[i]) throw new CaseException($"{Given()}, but {known.From} says {letters[i]} = {known.Size}; [{string.Join(", ", letters.AsEnumerable())}] is needed");
            }
        }
    }

    static readonly HashSet<string> Whole = ["padding", "token_ids", "task_ids", "router.table", "claim.capacity", "claim.expert", "claim.slot", "claim.token", "claim.count"];

    /// <summary>Refuses ids and counts that are no whole numbers, or too large to be told from their neighbours.</summary>
    public static void CheckWhole(string path, IEnumerable<CaseTensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            var isInteger = tensor.DType[0] is 'I' or 'U' or 'B' && tensor.DType != "BF16";
            if (!isInteger && !Whole.Contains(tensor.Name)) continue;
            foreach (var value in tensor.Values)
                if (!(Math.Abs(value) < 1L << 53) || value != Math.Floor(value)) throw new CaseException(FormattableString.Invariant($"{path}: {tensor.Name} holds {value}; write whole numbers below 2^53"));
        }
    }
}
