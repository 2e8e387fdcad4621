using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// The names of the format moe-case/1 and their shapes, in axis letters: G groups, S tokens per group, M width, E experts, k choices,
/// C slots, F hidden width, P soft slots. Equal letters are equal numbers in one file, so that what follows can rely on them.
/// </summary>
static class CaseShapes
{
    /// <summary>
    /// Besides the axis letters: X experts with weights, H shared hidden width, N shared experts, V ids, J table columns, R groups of experts, I experts of
    /// a group, D width of a router, K keys a half, Z both halves together, L width of latent experts, 2 two. Another shape stands behind a bar, with the
    /// tensor whose presence makes it the one; several shared experts are there where the router has rows for them or shared.wi has three sizes.
    /// </summary>
    const string Table = """
        x GSM; x.row GS; padding GS; token_ids GS; task_ids GS
        router.weight EM | router.mlp.norm ED; router.bias E; router.previous_count E; router.noise_weight EM
        router.correction_bias E; router.correction_bias.images E
        router.primary.weight RM; router.primary.noise_weight RM; router.secondary.weight RIM; router.secondary.noise_weight RIM
        router.slots EPM; router.scale; router.table VJ; router.table_gates VJ
        router.norm M; router.expert_scale E; router.global_scale; router.shared_weight NM; router.keys.weight ZM
        router.down.weight DM; router.down.bias D; router.previous GSD; router.previous_scale D
        router.mlp.norm D; router.mlp.w1 DD; router.mlp.b1 D; router.mlp.w2 DD; router.mlp.b2 D
        experts.x GSM; experts.wi XFM | experts.in XFL; experts.wi_gate XFM | experts.in XFL; experts.wo XMF | experts.in XLF
        experts.bi XF; experts.bi_gate XF; experts.bo XM | experts.in XL
        experts.in LM; experts.out ML; experts.in_norm L; experts.post_norm M | experts.in L; experts.output_bias M
        shared.wi HM | several NHM; shared.wi_gate HM | several NHM; shared.wo MH | several NMH; shared.gate M
        cotangent.y GSM; cotangent.losses
        claim.router_state GSD; claim.key_logits GS2K; claim.shared_logits GSN; claim.shared_gate GSN
        claim.logits GSE; claim.scores GSE; claim.capacity; claim.expert GSk; claim.slot GSk; claim.gate GSk
        claim.token GEC; claim.combine GSE; claim.slot_dispatch GSEP; claim.slot_combine GSEP; claim.count GE; claim.y GSM
        claim.correction_bias E
        """;

    /// <param name="Other">The shape that it has where <paramref name="With"/> is there.</param>
    sealed record Form(string Letters, string? With = null, string? Other = null);

    static readonly Dictionary<string, Form> Forms = Table
        .Split([';', '\n'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Select(Parse)
        .Concat(DrawKinds.All.Select(kind => (Name: $"draws.{kind.Name}", Form: new Form(kind.Shape))))
        .ToDictionary(entry => entry.Name, entry => entry.Form);

    static (string Name, Form Form) Parse(string entry)
    {
        var parts = entry.Split('|', StringSplitOptions.TrimEntries);
        var first = parts[0].Split(' ');
        var other = parts.Length > 1 ? parts[1].Split(' ') : null;
        return (first[0], new(first.Length > 1 ? first[1] : "", other?[0], other?[1]));
    }

    const string Gradient = "claim.grad.", Loss = "claim.loss.";

    /// <summary>The letters of a tensor, or null for a name that the format does not have.</summary>
    static string? Of(string name, HashSet<string> present)
    {
        if (Forms.TryGetValue(name, out var form)) return form.With is { } with && present.Contains(with) ? form.Other : form.Letters;
        if (name.StartsWith(Loss, StringComparison.Ordinal) && name.Length > Loss.Length) return "";
        if (!name.StartsWith(Gradient, StringComparison.Ordinal)) return null;
        var input = name[Gradient.Length..];
        return input.StartsWith("claim.", StringComparison.Ordinal) ? null : Of(input, present);
    }

    /// <summary>Refuses a tensor that the format does not have, or whose shape does not fit the others'.</summary>
    public static void Check(string path, IEnumerable<CaseTensor> tensors)
    {
        var present = tensors.Select(t => t.Name).ToHashSet();
        if (present.Contains("router.shared_weight") || tensors.Any(t => t.Name == "shared.wi" && t.Shape.Length == 3)) present.Add("several");
        var sizes = new Dictionary<char, (long Size, string From)> { ['2'] = (2, "the format") };
        foreach (var tensor in tensors.OrderBy(t => t.Name == "x" ? 0 : t.Name.StartsWith("claim.", StringComparison.Ordinal) ? 2 : 1))
        {
            var letters = Of(tensor.Name, present) ?? throw new CaseException(
                $"{path}: unknown tensor '{tensor.Name}'; near it are {string.Join(", ", BuiltIn.Nearest(tensor.Name, Forms.Keys))}; names under x. are free");
            var shape = letters.Length == 0 && tensor.Shape is [1] ? [] : tensor.Shape;
            string Given() => $"{path}: {tensor.Name} is [{string.Join(", ", tensor.Shape.Take(8))}]";
            var needed = $"[{string.Join(", ", letters.AsEnumerable())}]";
            if (shape.Length != letters.Length)
                throw new CaseException($"{Given()}; give it {(letters.Length == 0 ? "as one number" : $"as {needed}")}");
            for (var i = 0; i < shape.Length; i++)
            {
                // A capacity may be 0, anything else is at least 1.
                if (shape[i] > int.MaxValue || shape[i] < 1 && letters[i] != 'C') throw new CaseException($"{Given()}; its {letters[i]} cannot be {shape[i]}");
                if (sizes.TryAdd(letters[i], (shape[i], tensor.Name))) continue;
                var (size, from) = sizes[letters[i]];
                if (size != shape[i]) throw new CaseException($"{Given()}, but {from} says {letters[i]} = {size}; {needed} is needed");
            }
        }
    }

    static readonly HashSet<string> Whole =
    [
        "padding", "token_ids", "task_ids", "router.table",
        "claim.capacity", "claim.expert", "claim.slot", "claim.token", "claim.count",
    ];

    /// <summary>Refuses ids and counts that are no whole numbers, or too large to be told from their neighbours.</summary>
    public static void CheckWhole(string path, IEnumerable<CaseTensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            var isInteger = tensor.DType[0] is 'I' or 'U' or 'B' && tensor.DType != "BF16";
            if (!isInteger && !Whole.Contains(tensor.Name) || tensor.Name == Case.Row) continue;     // ids may have all 64 bits
            foreach (var value in tensor.Values)
            {
                if (Math.Abs(value) < 1L << 53 && value == Math.Floor(value)) continue;
                throw new CaseException(FormattableString.Invariant($"{path}: {tensor.Name} holds {value}; write whole numbers below 2^53"));
            }
        }
    }
}
