using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Tests.Museum;

/// <summary>One published bug: a right layer, the same layer with one step replaced, and inputs on which the two part ways.</summary>
/// <param name="Id">Entry of the museum; several exhibits may show one entry.</param>
/// <param name="Where">Repository and public number.</param>
/// <param name="Says">Wrong → right, in one sentence.</param>
/// <param name="Stage">The first stage that departs; <see cref="Refused"/> where the file is refused.</param>
/// <param name="Axis">The axis and its value that the mutant has, where the bug is a point of the dialect space.</param>
/// <param name="Inputs">Unanswered calls; the mutant is caught on the first.</param>
sealed record Exhibit(
    string Id,
    string Where,
    string Says,
    string Stage,
    (string Name, string Is)? Axis,
    Func<Case, PlainLayer> Right,
    Func<Case, PlainLayer> Wrong,
    IReadOnlyList<Case> Inputs)
{
    public const string Refused = "refused";

    public override string ToString() => $"{Id} {Says}";
}

/// <summary>Inputs, and the oracle.</summary>
static class Workshop
{
    public static IBackend Oracle() => new ScalarBackend<Tracked>();

    public static Verdict Check(Case file)
    {
        using var backend = Oracle();
        return CaseCheck.Run(file, backend);
    }

    /// <summary>Probes of a dialect with parameters, under its own text.</summary>
    public static Case[] Probes(string dialect, string[] names, params (string Key, JsonNode Value)[] parameters)
    {
        JsonObject Given() => new(parameters.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value.DeepClone())));
        var all = SparseExperts.Oracle.Probes.Of(DialectFile.With(DialectFile.Resolve(dialect), Given(), "museum"));
        return [.. names.Select(n => all.First(p => p.Name == n).Case).Select(c => Case.Create(dialect, c.Mode, c.Tensors, Given(), "museum", c.Note, c.Path))];
    }

    /// <summary>The first tokens of every group alone.</summary>
    public static Case First(this Case asked, int tokens)
    {
        var size = asked.Get("x").Size(1);
        bool IsOfTokens(CaseTensor t) => t.Shape.Length >= 2 && t.Shape[1] == size && t.Name is "x" or "padding" or "cotangent.y" or "claim.logits";
        CaseTensor Cut(CaseTensor t)
        {
            var groups = t.Values.Chunk(t.Values.Length / (int)t.Shape[0]);
            return new(t.Name, t.DType, [t.Shape[0], tokens, .. t.Shape[2..]], [.. groups.SelectMany(g => g.Take(g.Length / size * tokens))]);
        }
        return asked.Parted(t => IsOfTokens(t) || t.Name.StartsWith("draws.", StringComparison.Ordinal), Cut);
    }

    static Case Parted(this Case asked, Func<CaseTensor, bool> which, Func<CaseTensor, CaseTensor> part) =>
        Case.Create(
            asked.DialectText,
            asked.Mode,
            asked.Tensors.Select(t => which(t) ? part(t) : t),
            (JsonObject)asked.Parameters.DeepClone(),
            asked.Producer,
            asked.Note,
            asked.Path);

    /// <summary>Another tensor of the same shape in the place of one.</summary>
    public static Case Replaced(this Case asked, string name, Func<int, double> value) =>
        asked.With(asked.Get(name) with { Values = [.. Enumerable.Range(0, asked.Get(name).Values.Length).Select(i => (double)(float)value(i))] });

    /// <summary>A router that mixes its inputs: multiples of 1/16 without a pattern.</summary>
    public static double Mixed(int i) => (i * 37 % 61 - 30) / 16.0;
}
