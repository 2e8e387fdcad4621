using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>How a layer answers a case: the case with its claims filled in. By default the library's engine (<see cref="LayerLaws.Engine"/>).</summary>
public delegate Case LayerEngine(Case asked);

/// <summary>
/// A sentence about gates, outputs, losses, gradients or state that is true of every dialect that promises it. <paramref name="Find"/> gives what
/// contradicts it, or null.
/// </summary>
public sealed record LayerLaw(string Name, Func<Dialect, bool> IsPromised, Func<Dialect, LayerEngine, string?> Find)
{
    public void Demand(Dialect dialect, LayerEngine engine)
    {
        if (Find(dialect, engine) is { } detail) throw new LayerLawViolation(this, $"{dialect.Name}: {detail}");
    }
}

/// <summary>A layer broke a law.</summary>
public sealed class LayerLawViolation(LayerLaw law, string detail) : Exception($"{law.Name}: {detail}")
{
    public LayerLaw Law => law;
}

/// <summary>An answered case, read by token and choice. T tokens, k choices, E experts, M width.</summary>
sealed class LayerAnswer
{
    readonly CaseTensor _expert, _gate;
    readonly CaseTensor? _slot;

    public LayerAnswer(Case answered)
    {
        Case = answered;
        (_expert, _gate, _slot) = (answered.Get("claim.expert"), answered.Get("claim.gate"), answered.Find("claim.slot"));
        (Choices, Tokens) = (_expert.Size(-1), _expert.Values.Length / _expert.Size(-1));
        Experts = Scores.Size(-1);
    }

    public Case Case { get; }
    public int Tokens { get; }
    public int Choices { get; }
    public int Experts { get; }

    public CaseTensor Scores => Case.Find("claim.scores") ?? Logits;
    public CaseTensor Logits => Case.Get("claim.logits");

    public int Expert(int token, int choice) => (int)_expert.Values[token * Choices + choice];
    public double Gate(int token, int choice) => _gate.Values[token * Choices + choice];
    public double Score(int token, int expert) => Scores.Values[token * Experts + expert];

    /// <summary>The choice was made and has a place.</summary>
    public bool IsKept(int token, int choice) => Expert(token, choice) >= 0 && (_slot is null || _slot.Values[token * Choices + choice] >= 0);

    public bool IsWhole(int token) => Enumerable.Range(0, Choices).All(j => IsKept(token, j));
    public int[] Chosen(int token) => [.. Enumerable.Range(0, Choices).Select(j => Expert(token, j)).Where(e => e >= 0)];
    public double GateSum(int token) => Enumerable.Range(0, Choices).Sum(j => IsKept(token, j) ? Gate(token, j) : 0);

    public double[] Y(int token)
    {
        var y = Case.Get("claim.y");
        return y.Values[(token * y.Size(-1))..((token + 1) * y.Size(-1))];
    }

    public double? Loss(string name) => Case.Find($"claim.loss.{name}")?.Values[0];
}
