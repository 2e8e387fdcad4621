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
    public float[] TokenMask { get; init; } = [];

    /// <summary>Number formats of the call's scores and logits, which losses are rounded to.</summary>
    public NumberFormat ScoreFormat { get; init; } = NumberFormat.Float32;
    public NumberFormat LogitsFormat { get; init; } = NumberFormat.Float32;

    /// <summary>Gates as they are applied.</summary>
    public required Tensor Gates { get; init; }
    public RouterWeights Weights { get; init; } = new();

    /// <summary>
    /// The choices of a balance loss that takes a top-k of its own, where ties leave them open and a checker settles them; null takes them by the dialect's
    /// tie rule.
    /// </summary>
    internal IReadOnlyList<(int Token, int Expert)>? FreshTopK { get; init; }
}

/// <summary>One auxiliary loss before its coefficient, 1×1; computed when somebody asks for it, so that one of coefficient 0 costs training nothing.</summary>
public sealed record LossTerm(string Name, Lazy<Tensor> Computed, double Coefficient)
{
    public LossTerm(string name, Tensor value, double coefficient) : this(name, new Lazy<Tensor>(value), coefficient) { }

    /// <summary>The loss; to be asked for while its tape has the call.</summary>
    public Tensor Value => Computed.Value;

    /// <summary>What a product loss is taken over; null for other losses.</summary>
    public BalanceLevel? Level { get; init; }

    /// <summary>The loss times a number where one of its ops can multiply by it; null where that takes an op of its own.</summary>
    public Func<double, Tensor?>? Fused { get; init; }
}

/// <summary>The auxiliary losses of a dialect, by name, and their weighted sum.</summary>
public static class AuxiliaryLosses
{
    /// <summary>A loss: its name, when a call has it, its value and its coefficient.</summary>
    sealed record Kind(string Name, Func<RouterCall, bool> IsThere, Func<Tape, RouterCall, LossInputs, Tensor> Compute, Func<Dialect, double> Coefficient)
    {
        /// <summary>Of a product loss: what it is taken over.</summary>
        public Func<Dialect, BalanceLevel>? Level { get; init; }

        /// <summary>The loss times a number in the ops of the loss; null where there is no such way.</summary>
        public Func<Tape, RouterCall, LossInputs, double, Tensor?>? Fused { get; init; }

        public LossTerm Of(Tape tape, RouterCall call, LossInputs inputs)
        {
            T Exactly<T>(Func<T> compute)
            {
                using var exact = tape.Exactly();
                return compute();
            }
            return new(Name, new Lazy<Tensor>(() => Exactly(() => Compute(tape, call, inputs))), Coefficient(call.Dialect))
            {
                Level = Level?.Invoke(call.Dialect),
                Fused = Fused is null || call.LogitsFormat != NumberFormat.Float32 ? null : by => Exactly(() => Fused(tape, call, inputs, by)),
            };
        }
    }

    /// <summary>In the order in which they are added up.</summary>
    static readonly Kind[] Kinds =
    [
        Product("gshard", call => HasBalance(call) && call.Dialect.GshardLoss, d => d.BalanceLevel, d => d.GshardCoefficient),
        Product("balance", call => HasBalance(call) && call.Dialect is { GshardLoss: false, Balance: BalanceLoss.Product },
            d => d.BalanceLevel, d => d.BalanceCoefficient),
        new("balance", call => HasBalance(call) && call.Dialect is { GshardLoss: false, Balance: not BalanceLoss.Product }, Balance, d => d.BalanceCoefficient),
        Product("sequence_balance", call => HasLosses(call) && call.Dialect.SequenceBalanceCoefficient != 0,
            _ => BalanceLevel.Sequence, d => d.SequenceBalanceCoefficient),
        Product("global_balance", call => HasLosses(call) && call.Dialect.GlobalBalanceCoefficient != 0,
            _ => BalanceLevel.Global, d => d.GlobalBalanceCoefficient),
        new("load_importance", call => HasLosses(call) && call.Dialect is { Loss: LossChoice.LoadImportance, NoiseStd: > 0 }, LoadLosses.MixedUnits,
            d => d.BalanceCoefficient),
        new("importance", call => HasLosses(call) && call.Dialect.Importance != ImportanceLoss.None, LoadLosses.Importance, d => d.ImportanceCoefficient),
        new("load", call => HasLosses(call) && call.Dialect.Load != LoadLoss.None && (call.Dialect.Load == LoadLoss.ExcludingItself || call.IsNoisy),
            LoadLosses.Load, d => d.LoadCoefficient),
        new("sparsity", call => HasLosses(call) && call.Dialect.SparsityCoefficient != 0, (tape, _, inputs) => EntropyLosses.Sparsity(tape, inputs.Scores),
            d => d.SparsityCoefficient),
        new("alignment", call => HasLosses(call) && call.Dialect.AlignmentCoefficient != 0, EntropyLosses.Alignment, d => d.AlignmentCoefficient),
        new("entropy", call => HasLosses(call) && call.Dialect.EntropyLosses, EntropyLosses.PerModality, d => d.EntropyCoefficient),
        new("z", call => call.Dialect.ZLoss != ZLoss.None && call.Is(call.Dialect.ZPhase), (tape, call, inputs) => RouterZLoss.Mean(tape, call, inputs.Logits),
            d => d.ZCoefficient) { Fused = (tape, call, inputs, by) => RouterZLoss.Mean(tape, call, inputs.Logits, by) },
    ];

    static Kind Product(string name, Func<RouterCall, bool> isThere, Func<Dialect, BalanceLevel> level, Func<Dialect, double> coefficient) =>
        new(name, isThere, (tape, call, inputs) => ProductLoss.Compute(tape, call, inputs, level(call.Dialect)), coefficient)
        {
            Level = level,
            Fused = (tape, call, inputs, by) => ProductLoss.Compute(tape, call, inputs, level(call.Dialect), by),
        };

    static bool HasLosses(RouterCall call) => call.Is(call.Dialect.LossPhase);

    static bool HasBalance(RouterCall call) =>
        HasLosses(call) && call.Dialect.Balance != BalanceLoss.None && call.Dialect.Loss != LossChoice.LoadImportance;

    /// <summary>Names of all losses that some dialect has.</summary>
    public static IReadOnlyList<string> AllNames { get; } = [.. Kinds.Select(k => k.Name).Distinct()];

    /// <summary>Names of the losses that a call has, those with coefficient 0 as well.</summary>
    public static IEnumerable<string> Names(RouterCall call) => Kinds.Where(k => k.IsThere(call)).Select(k => k.Name);

    /// <summary>Every loss that the dialect has in this mode; those with coefficient 0 as well, for checks and reports ask for them.</summary>
    public static List<LossTerm> Of(Tape tape, RouterCall call, LossInputs inputs) =>
        [.. Kinds.Where(k => k.IsThere(call)).Select(k => k.Of(tape, call, inputs))];

    /// <summary>Σ coefficient·loss; null where nothing is added.</summary>
    public static Tensor? Total(Tape tape, RouterCall call, IEnumerable<LossTerm> terms)
    {
        Tensor? total = null;
        foreach (var term in terms.Where(t => t.Coefficient != 0))
        {
            var weighted = term.Fused?.Invoke(term.Coefficient) ?? tape.Round(tape.Scale(term.Value, term.Coefficient), call.LogitsFormat);
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
