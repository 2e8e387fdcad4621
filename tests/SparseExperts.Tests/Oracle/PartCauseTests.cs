using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Faults in parts that few layers have are named: in an MLP router and its state, in norms around experts, in one kind of expert alone.</summary>
public sealed class PartCauseTests
{
    static Case Asked(string dialect) => Probes.Of(BuiltIn.Named(dialect)).Single(p => p.Name == "plain-eval").Case;

    /// <summary>The right call with what another one claims of a stage, and without what is made from that.</summary>
    static Verdict Judge(Case right, string stage, double[] claimed)
    {
        bool IsBefore(string claim) => stage == "y" || stage == "logits" && claim == "claim.router_state";
        var later = right.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal) && !IsBefore(n));
        var own = right.Get($"claim.{stage}") with { Values = Array.ConvertAll(claimed, v => (double)(float)v) };
        return Planting.Judge(right.Without([.. later]).With(own));
    }

    static CaseTensor All(Case c, string name, double value) => c.Get(name) is var t ? t with { Values = [.. t.Values.Select(_ => value)] } : null!;

    static void Named(Verdict verdict, string stage, string sentence)
    {
        Assert.Equal(stage, verdict.Culprit?.Stage);
        Assert.Contains(sentence, verdict.Causes[0].Sentence);
        Assert.True(verdict.IsCertain);
    }

    [Theory]
    [InlineData("router_state", "router.previous", 0, "the state that the layer before hands on was not added")]
    [InlineData("router_state", "router.previous_scale", 1, "the state of the layer before was added without its factor")]
    [InlineData("router_state", "router.down.bias", 0, "router.down.bias was not added")]
    [InlineData("logits", "router.mlp.b1", 0, "router.mlp.b1 was not added")]
    [InlineData("logits", "router.mlp.norm", 1, "the norm of the router's MLP was taken without its weight")]
    public void A_tensor_that_a_router_did_not_read_is_named(string stage, string tensor, double read, string sentence)
    {
        var asked = Asked("hf.zaya");
        var faulty = Planting.Answered(asked.With(All(asked, tensor, read)));
        Named(Judge(Planting.Answered(asked), stage, faulty.Get($"claim.{stage}").Values), stage, sentence);
    }

    /// <summary>Silu in place of gelu, and no norm: what no tensor can say.</summary>
    [Theory]
    [InlineData(true, "the router's MLP has silu where it should have gelu_erf")]
    [InlineData(false, "the norm of the router's MLP is missing")]
    public void Another_MLP_is_named(bool isNormed, string sentence)
    {
        var right = Planting.Answered(Asked("hf.zaya"));
        double[] Of(string name) => right.Get(name).Values;
        var (width, state) = (right.Get("router.mlp.norm").Size(0), Of("claim.router_state"));
        double[] Product(double[] row, double[] matrix) => [.. matrix.Chunk(width).Select(w => w.Zip(row, (a, b) => a * b).Sum())];
        double Half(double v) => Math.Sqrt(2) is var root && isNormed ? v / (1 + Math.Exp(-v)) : v / 2 * (1 + Erf(v / root));
        double[] Hidden(double[] row, int layer) =>
            [.. Product(row, Of($"router.mlp.w{layer}")).Zip(Of($"router.mlp.b{layer}"), (p, b) => Half(p + b))];
        double[] Normed(double[] row) => isNormed && Math.Sqrt(row.Sum(v => v * v) / width + right.Dialect.RouterNormEpsilon) is var root
            ? [.. row.Zip(Of("router.mlp.norm"), (v, w) => v / root * w)] : row;
        var logits = state.Chunk(width).SelectMany(row => Product(Hidden(Hidden(Normed(row), 1), 2), Of("router.weight")));
        Named(Judge(right, "logits", [.. logits]), "logits", sentence);
    }

    /// <summary>2/√π·Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)).</summary>
    static double Erf(double x)
    {
        if (Math.Abs(x) > 5) return Math.Sign(x);
        double term = x, sum = x;
        for (var n = 1; n < 200; n++) sum += (term *= -x * x / n) / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    [Fact]
    public void A_norm_whose_weight_stands_behind_its_root_is_named()
    {
        var asked = Asked("hf.muse_spark");
        var weight = asked.Get("experts.post_norm").Values;
        var last = asked.Get("experts.out");
        var behind = last with { Values = [.. last.Values.Select((v, i) => v * weight[i % weight.Length])] };
        var faulty = Planting.Answered(asked.With(All(asked, "experts.post_norm", 1), behind));
        Named(Judge(Planting.Answered(asked), "y", faulty.Get("claim.y").Values), "y", "RMS(o)∘w, not RMS(o∘w)");
    }

    /// <summary>GPT-OSS's u + 1 without the 1.</summary>
    [Fact]
    public void What_is_added_to_the_other_half_is_an_axis()
    {
        var asked = Asked("hf.gpt_oss");
        var faulty = Planting.Answered(asked.Under(asked.Dialect with { ActivationBeta = 0 }));
        Named(Judge(Planting.Answered(asked), "y", faulty.Get("claim.y").Values), "y", "as if activation_beta = 0 instead of 1");
    }

    /// <summary>The sum of a routed layer with one activation and a shared expert with another.</summary>
    [Theory]
    [InlineData("hf.nemotron_h", ExpertActivation.Relu, "activation is relu in the routed experts, where the shared one has relu2")]
    [InlineData("hf.deepseek_v3", ExpertActivation.GeluTanh, "activation is gelu_tanh in the routed experts, where the shared one has silu")]
    public void Another_activation_in_one_kind_of_expert_is_named(string dialect, ExpertActivation routed, string sentence)
    {
        var asked = Asked(dialect);
        double[] Y(Case c) => Planting.Answered(c).Get("claim.y").Values;
        var ofRouted = Y(asked.With(All(asked, "shared.wo", 0)).Under(asked.Dialect with { Activation = routed }));
        var ofShared = Y(asked.With(All(asked, "experts.wo", 0)));
        Named(Judge(Planting.Answered(asked), "y", [.. ofRouted.Zip(ofShared, (a, b) => a + b)]), "y", sentence);
    }
}
