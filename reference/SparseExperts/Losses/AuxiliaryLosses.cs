using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>What the losses of one call are made from. All tensors [T, E] but the gates [T, K].</summary>
public sealed record LossInputs
{
    public required Tensor Logits { get; init; }
    public required Tensor Noisy { get; init; }
    public required Tensor Scores { get; init; }

    /// <summary>Deviation of input-dependent noise, or null.</summary>
    public Tensor? Deviation { get; init; }
    public required RouterNumbers Numbers { get; init; }
    public required PlanHandle Handle { get; init; }

    /// <summary>The plan and the choices on the host, read where the backend planned.</summary>
    public RoutingPlan Plan => Handle.Host;
    public Choices Choices => _choices ??= Chosen ?? Choices.Of(Plan);
    Choices? _choices;

    /// <summary>Who wanted whom, where the host chose.</summary>
    public Choices? Chosen { get; init; }

    /// <summary>One number a token, 0 for padding; empty where all are real.</summary>
    public float[] Importance { get; init; } = [];

    /// <summary>Gates as they are applied.</summary>
    public required Tensor Gates { get; init; }
    public RouterWeights Weights { get; init; } = new();

    /// <summary>
    /// The choices of a balance loss that takes a top-k of its own, where ties leave them open and a checker settles them; null takes them by the dialect's
    /// tie rule.
    /// </summary>
    internal IReadOnlyList<(int Token, int Expert)>? FreshTopK { get; init; }
}

/// <summary>One auxiliary loss before its coefficient, 1×1.</summary>
public sealed record LossTerm(string Name, Tensor Value, double Coefficient)
{
    /// <summary>What a product loss is taken over; null for other losses.</summary>
    public BalanceLevel? Level { get; init; }
}

/// <summary>The auxiliary losses of a dialect, by name, and their weighted sum.</summary>
public static class AuxiliaryLosses
{
    /// <summary>Every loss that the dialect has in this mode; those with coefficient 0 as well, for they are reported.</summary>
    public static List<LossTerm> Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        using var exact = tape.Exactly();
        var d = call.Dialect;
        List<LossTerm> terms = [];
        if (call.Is(d.LossPhase))
        {
            if (d.Balance != BalanceLoss.None && d.Loss != LossChoice.LoadImportance)
                terms.Add(d.GshardLoss
                    ? Product("gshard", d.BalanceLevel, d.GshardCoefficient)
                    : d.Balance == BalanceLoss.Product ? Product("balance", d.BalanceLevel, d.BalanceCoefficient)
                    : new("balance", Balance(tape, call, inputs), d.BalanceCoefficient));
            if (d.SequenceBalanceCoefficient != 0) terms.Add(Product("sequence_balance", BalanceLevel.Sequence, d.SequenceBalanceCoefficient));
            if (d.GlobalBalanceCoefficient != 0) terms.Add(Product("global_balance", BalanceLevel.Global, d.GlobalBalanceCoefficient));
            if (d.Loss == LossChoice.LoadImportance && d.NoiseStd > 0)
                terms.Add(new("load_importance", LoadLosses.MixedUnits(tape, call, inputs), d.BalanceCoefficient));
            if (d.Importance != ImportanceLoss.None) terms.Add(new("importance", LoadLosses.Importance(tape, call, inputs), d.ImportanceCoefficient));
            if (d.Load != LoadLoss.None && (d.Load == LoadLoss.ExcludingItself || call.IsNoisy))
                terms.Add(new("load", LoadLosses.Load(tape, call, inputs), d.LoadCoefficient));
            if (d.SparsityCoefficient != 0) terms.Add(new("sparsity", EntropyLosses.Sparsity(tape, inputs.Scores), d.SparsityCoefficient));
            if (d.AlignmentCoefficient != 0) terms.Add(new("alignment", EntropyLosses.Alignment(tape, call, inputs), d.AlignmentCoefficient));
            if (d.EntropyLosses) terms.Add(new("entropy", EntropyLosses.PerModality(tape, call, inputs), d.EntropyCoefficient));
        }
        if (d.ZLoss != ZLoss.None && call.Is(d.ZPhase)) terms.Add(new("z", RouterZLoss.Mean(tape, call, inputs.Logits), d.ZCoefficient));
        return terms;

        LossTerm Product(string name, BalanceLevel level, double coefficient) =>
            new(name, ProductLoss.Compute(tape, call, inputs, level), coefficient) { Level = level };
    }

    /// <summary>Σ coefficient·loss; null where nothing is added.</summary>
    public static Tensor? Total(Tape tape, RouterCall call, IEnumerable<LossTerm> terms)
    {
        Tensor? total = null;
        foreach (var term in terms.Where(t => t.Coefficient != 0))
        {
            var weighted = tape.Round(tape.Scale(term.Value, term.Coefficient), call.LogitsFormat);
            total = total is null ? weighted : tape.Add(total, weighted);
        }
        return total;
    }

    static Tensor Balance(Tape tape, RouterCall call, LossInputs inputs) => call.Dialect.Balance switch
    {
        BalanceLoss.VariationOfKeptMass => VariationOfKeptMass.Compute(tape, call, inputs),
        BalanceLoss.TokenSquares => TokenSquares.Compute(tape, call, inputs),
        BalanceLoss.MeanSquares => MeanSquares.Compute(tape, call, inputs),
        BalanceLoss.BatchwiseThresholds => BatchwiseThresholds.Compute(tape, call, inputs),
        var other => throw new RoutingException($"{call.Where}: unknown balance loss {other}"),
    };
}
