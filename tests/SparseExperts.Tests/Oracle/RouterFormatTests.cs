using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Routers that compute in a narrower format than their tokens are stored in. The files are flaxformer's own unit tests (routing_test.py), run in
/// bfloat16 as its router class does by default.
/// </summary>
public sealed class RouterFormatTests
{
    static Case Load(string name) => Case.Load(Path.Combine(AppContext.BaseDirectory, "Oracle", "narrow", name + ".npz"));

    static Outcome Stage(Case file, string stage)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend).Stages.Single(s => s.Stage == stage).Outcome;
    }

    static Case Scaled(Case file, string claim, double factor) =>
        file.With(file.Get(claim) with { Values = Array.ConvertAll(file.Get(claim).Values, v => (double)(float)(v * factor)) });

    [Theory]
    [InlineData("flaxformer-mask1", 0.4772135)]
    [InlineData("flaxformer-masked-z", 0.4772135)]
    [InlineData("flaxformer-scatter-z", 1.8994141)]
    [InlineData("flaxformer-experts-choose", 0.5041504)]
    public void The_z_loss_of_logits_in_bfloat16_is_bfloat16_too(string name, double expected)
    {
        var file = Load(name);
        Assert.Equal(expected, file.Get("claim.loss.z").Values[0], 1e-6);
        Assert.Equal(Outcome.Agrees, Stage(file, "loss.z"));
        Assert.Equal(Outcome.Differs, Stage(Scaled(file, "claim.loss.z", 1.15), "loss.z"));
    }

    [Fact]
    public void A_narrow_router_rounds_its_input_and_its_weight_and_not_only_its_logits()
    {
        var file = Load("flaxformer-mask1");
        Assert.Contains(file.Get("x").Values, v => Rounding.To(NumberFormat.BFloat16, v) != v);
        Assert.Equal(Outcome.Agrees, Stage(file, "logits"));
        Assert.Equal(Outcome.Differs, Stage(Scaled(file, "claim.logits", 1.05), "logits"));
        // In float32 the same logits differ.
        Assert.Equal(Outcome.Differs, Stage(file.Under(file.Dialect with { RouterDtype = null }), "logits"));
    }

    [Fact]
    public void A_balance_loss_starts_from_the_scores_that_are_claimed()
    {
        // Softmax of (ln 3, 0): 0.75 and 0.25, all tokens to expert 0, so that the loss is 2·0.75. The engine's scores are 0.5 each, and its loss is 2·0.5.
        double[] logits = [Math.Log(3), 0, Math.Log(3), 0, Math.Log(3), 0, Math.Log(3), 0];
        CaseTensor Floats(string name, double[] values, params long[] shape) => new(name, "F32", shape, Array.ConvertAll(values, v => (double)(float)v));
        var file = Case.Create("hf.switch.v4", "train", [
            Floats("x", new double[4], 1, 4, 1), Floats("claim.logits", logits, 1, 4, 2), Floats("claim.scores", [.. Enumerable.Repeat(0.5, 8)], 1, 4, 2),
            new("claim.expert", "I32", [1, 4, 1], new double[4]), Floats("claim.loss.balance", [1], 1)], new JsonObject { ["capacity"] = 4, ["jitter"] = 0 });
        Assert.Equal((Outcome.Differs, Outcome.Agrees), (Stage(file, "scores"), Stage(file, "loss.balance")));
        Assert.Equal(Outcome.Agrees, Stage(file.Without("claim.scores").With(Floats("claim.loss.balance", [1.5], 1)), "loss.balance"));
    }
}
