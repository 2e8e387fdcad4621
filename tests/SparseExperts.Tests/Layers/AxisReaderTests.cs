using System.Reflection;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Describing;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Tests.Routing;
using Xunit;

namespace SparseExperts.Tests.Layers;

/// <summary>Axes that were accepted and read wrongly or by nobody, each with its number by hand.</summary>
public sealed class AxisReaderTests
{
    /// <summary>Two tokens, three experts, k = 2, one slot an expert: token 1's first choice finds its expert full.</summary>
    static readonly double[] Crowded = [Math.Log(4), Math.Log(2), 0, Math.Log(4), 0, Math.Log(2)];

    [Fact]
    public void Evaluation_divides_its_gates_as_its_own_axis_says()
    {
        var d = BuiltIn.Named("mesh.top_2") with { Policy = Policy.All, EvalPolicy = Policy.All, Capacity = 1, Normalize = Normalize.None };
        d = d with { EvalNormalize = Normalize.AfterDrop };
        Golden.Run(d, Crowded, 3, training: true).Combines("t0{0:.571428571,1:.285714286} t1{2:.285714286}");
        Golden.Run(d, Crowded, 3, training: false).Combines("t0{0:.666666667,1:.333333333} t1{2:1}");
        Golden.Run(d with { EvalNormalize = Normalize.BeforeDrop }, Crowded, 3, training: false).Combines("t0{0:.666666667,1:.333333333} t1{2:.333333333}");
    }

    /// <summary>y = Σ kept g·f(x) + Σ dropped g·x; with f(x) = 2x token 0 gets (4/7 + 2/7)·2x, token 1 gets 4/7·x + 2/7·2x.</summary>
    [Fact]
    public void Every_dropped_choice_comes_back_with_its_own_gate()
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        Tensor Matrix(int rows, int columns, params double[] values)
        {
            var matrix = tape.Rent(rows, columns);
            backend.Write(matrix, values);
            return tape.Input(matrix);
        }
        var d = BuiltIn.Named("mesh.top_2") with
        {
            Policy = Policy.All,
            Capacity = 1,
            Normalize = Normalize.None,
            DroppedOutput = DroppedOutput.GateTimesInput,
            Activation = ExpertActivation.Identity,
        };
        var call = new RouterCall { Dialect = d, Groups = 1, Size = 2, Experts = 3, Training = true };
        double[] unit = [1, 0, 0, 0, 1, 0, 0, 0, 1], twice = [.. unit.Select(v => 2 * v)];
        ExpertWeights experts = new() { Wi = Matrix(9, 3, [.. unit, .. unit, .. unit]), Wo = Matrix(9, 3, [.. twice, .. twice, .. twice]) };
        var result = SparseLayer.Forward(tape, call, Matrix(2, 3, Crowded), new() { Weight = Matrix(3, 3, unit) }, experts);
        double[] factor = [12 / 7.0, 8 / 7.0];
        Assert.Equal(Crowded.Select((x, i) => factor[i / 3] * x), backend.ToDoubles(result.Output.Value), (a, b) => Math.Abs(a - b) < 1e-9);
    }

    /// <summary>Numbers that are no logits are summed as they are: (0.6, 1.4) has mean 1 and variance 0.16.</summary>
    [Fact]
    public void Importance_on_clean_scores_takes_no_softmax_of_what_has_no_scores()
    {
        var d = BuiltIn.Named("hf.qwen3_moe") with { K = 1, Score = Score.None, Importance = ImportanceLoss.CleanScores, ImportanceCoefficient = 1 };
        Golden.Run(d, [0.2, 0.8, 0.4, 0.6], 2).Loses("importance", 0.16);
        Golden.Run(d with { Score = Score.Sigmoid }, [0, 0, Math.Log(3), 0], 2).Loses("importance", 0.125 * 0.125 / (1.125 * 1.125));
    }

    public static TheoryData<Activation> Kinds() => [.. Enum.GetValues<Activation>()];

    /// <summary>One expert for all is the dense feed-forward layer, under every activation that a model can have; the others are refused for both.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void Sparse_and_dense_twins_obey_the_same_activation(Activation kind)
    {
        var config = new ModelConfig { Width = 8, HeadWidth = 8, Layers = 1, Hidden = 8, Context = 8, Experts = 2, Activation = kind };
        config = config with { Dialect = BuiltIn.Named("hf.qwen3_moe") with { K = 1 } };
        if (!ExpertKinds.HasTwin(kind))
        {
            foreach (var twin in (ModelConfig[])[config, config with { Experts = 0 }])
                Assert.Contains($"activation {kind}", Assert.Throws<ConfigurationException>(twin.Validate).Message);
            return;
        }
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        Tensor x = tape.Constant(3, 2, [1, -2, 0.5f, 3, -1, 0]), wi = tape.Constant(2, 2, [1, -0.5f, 2, 0.25f]), wo = tape.Constant(2, 2, [0.5f, 1, -1, 2]);
        var call = new RouterCall { Dialect = config.Dialect with { Activation = ExpertKinds.Of(kind) }, Groups = 1, Size = 3, Experts = 1, Training = false };
        RoutingPlan everything = new(1, 1, 1, RoutingPlan.Unlimited, [0, 0, 0], [0, 1, 2]);
        var sparse = Experts.Apply(tape, call, x, new() { Wi = wi, Wo = wo }, tape.Constant(3, 1, [1, 1, 1]), everything);
        var dense = tape.Linear(tape.Activate(kind, tape.Linear(x, wi)), wo);
        Assert.Equal(backend.ToArray(dense.Value), backend.ToArray(sparse.Value));

        // In a model of its own: another activation gives other logits.
        float[] Logits(Activation of)
        {
            using var own = new CpuBackend(1);
            using var inner = new Tape(own);
            var model = new LanguageModel(inner, config with { Activation = of }, 3);
            return own.ToArray(model.Forward([1, 2, 3, 4], 1, false, default).Logits.Value);
        }
        var others = Enum.GetValues<Activation>().Where(k => k != kind && ExpertKinds.HasTwin(k));
        Assert.All(others, other => Assert.NotEqual(Logits(kind), Logits(other)));
    }

    public static TheoryData<string> Named() => [.. DialectAxis.All.Where(a => a.Values.Count > 0).Select(a => a.Name)];

    /// <summary>A number that no value has, as a cast could make it.</summary>
    [Theory, MemberData(nameof(Named))]
    public void A_value_without_a_name_is_refused(string axis)
    {
        var property = typeof(Dialect).GetProperty(axis.Replace("_", ""), BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase)!;
        var d = BuiltIn.Named("hf.mixtral") with { };
        property.SetValue(d, Enum.ToObject(Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType, 99));
        Assert.StartsWith($"hf.mixtral: {axis} has no value 99: choose one of ", Assert.Throws<DialectException>(() => DialectRules.Check(d)).Message);
    }

    [Fact]
    public void Nothing_falls_back_to_a_default_in_silence()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => ExpertKinds.Function((ExpertActivation)99));
        Assert.Throws<ArgumentOutOfRangeException>(() => ExpertKinds.Function(ExpertActivation.SwigluClamped));
        Assert.Throws<ArgumentOutOfRangeException>(() => ExpertKinds.Of(Activation.Sqrt));
        Assert.Throws<ArgumentOutOfRangeException>(() => Rounding.HalfUnit((NumberFormat)99, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Rounding.Largest((NumberFormat)99));
        var unknown = BuiltIn.Named("hf.mixtral") with { Ties = (TieRule)99 };
        Assert.Throws<ArgumentOutOfRangeException>(() => DialectText.Row(unknown));
        Assert.Throws<ArgumentOutOfRangeException>(() => Golden.Run(unknown, new double[6], 3));
    }
}
