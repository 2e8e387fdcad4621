using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Losses;

/// <summary>
/// What a balance loss is taken over, by hand. Two experts, k = 1; a token A has the probabilities ¾ ¼ and counts for expert 0, a token B has ¼ ¾ and
/// counts for expert 1.
/// </summary>
public sealed class BalanceLevelTests
{
    static readonly double[] A = [Math.Log(3), 0], B = [0, Math.Log(3)];

    static Dialect Megatron => BuiltIn.Named("megatron.topk") with { K = 1, Score = Score.Softmax, BalanceCoefficient = 1 };

    static Dialect Mixtral => BuiltIn.Named("hf.mixtral") with { K = 1 };

    /// <summary>The balance losses of one call whose tokens are their logits, by name.</summary>
    static Dictionary<string, double> Losses(Dialect dialect, int groups, double[][] tokens, float[]? real = null, double[]? previous = null)
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        Tensor Matrix(int rows, params double[] values)
        {
            var matrix = tape.Rent(rows, values.Length / rows);
            backend.Write(matrix, values);
            return tape.Input(matrix);
        }
        var call = new RouterCall
        {
            Dialect = dialect,
            Groups = groups,
            Size = tokens.Length / groups,
            Experts = 2,
            Training = true,
            TokenMask = real ?? [],
            PreviousCount = previous ?? [],
        };
        ExpertWeights experts = new()
        {
            Wi = Matrix(4, new double[4]),
            WiGate = dialect.GatedExperts ? Matrix(4, new double[4]) : null,
            Wo = Matrix(2, new double[4]),
        };
        var x = Matrix(tokens.Length, [.. tokens.SelectMany(t => t)]);
        var result = SparseLayer.Forward(tape, call, x, new() { Weight = Matrix(2, 1, 0, 0, 1), CorrectionBias = [0, 0] }, experts);
        return result.Losses.ToDictionary(l => l.Name, l => backend.ToDoubles(l.Value.Value)[0]);
    }

    /// <summary>A sequence of three tokens A, and one of a token B and two of padding: n = 3 0 and 0 1, ΣP = 9/4 3/4 and 1/4 3/4.</summary>
    static double Ragged(Dialect dialect, double[]? previous = null) => Losses(dialect, 2, [A, A, A, B, A, A], [1, 1, 1, 1, 0, 0], previous)["balance"];

    [Fact]
    public void Each_level_has_its_number()
    {
        // 2/4²·(5/2·3 + 3/2·1)
        Assert.Equal(1.125, Ragged(Megatron), 1e-12);
        Assert.Equal(1.125, Ragged(Mixtral), 1e-12);
        // 2/2²·(9/4·3 + 3/4·1)/2: both by the mean length 2
        Assert.Equal(1.875, Ragged(Megatron with { BalanceLevel = BalanceLevel.Sequence }), 1e-12);
        // (2/3²·9/4·3 + 2/1²·3/4·1)/2: each by its own
        Assert.Equal(1.5, Ragged(Mixtral with { BalanceLevel = BalanceLevel.Sequence }), 1e-12);
        Assert.Equal(1.5, Ragged(Mixtral with { BalanceLevel = BalanceLevel.Group }), 1e-12);
        Assert.Equal(3, Ragged(Mixtral with { BalanceLevel = BalanceLevel.SequenceSum }), 1e-12);
        Assert.Equal(3, Ragged(Megatron with { BalanceLevel = BalanceLevel.SequenceSum }), 1e-12);
    }

    /// <summary>Counts 1 3 of one earlier micro-batch: f = 2 2 over 4 tokens, P of this call. Two earlier ones with the same sum: f = 4/3 4/3.</summary>
    [Fact]
    public void A_global_loss_takes_the_mean_of_the_counts()
    {
        var global = Megatron with { BalanceLevel = BalanceLevel.Global, PreviousBatches = 1 };
        Assert.Equal(2 / 16.0 * (2.5 * 2 + 1.5 * 2), Ragged(global, [1, 3]), 1e-12);
        Assert.Equal(2 / 16.0 * 4 * 4 / 3, Ragged(global with { PreviousBatches = 2 }, [1, 3]), 1e-12);
        Assert.Equal(Ragged(Megatron), Ragged(global with { PreviousBatches = 0 }), 1e-12);
    }

    /// <summary>The other rank has A B B B: n = 1 3, ΣP = 6/4 10/4; together n = 4 4, ΣP = 4 4 over 8 tokens.</summary>
    [Fact]
    public void Shares_of_ranks_add_up_to_the_loss_of_all_their_tokens()
    {
        var share = Megatron with { BalanceLevel = BalanceLevel.RankShare };
        double one = Ragged(share, [1, 3]), other = Losses(share, 1, [A, B, B, B], previous: [3, 1])["balance"];
        Assert.Equal(2 / 64.0 * (2.5 * 4 + 1.5 * 4), one, 1e-12);
        Assert.Equal(2 / 64.0 * (1.5 * 4 + 2.5 * 4), other, 1e-12);
        Assert.Equal(Losses(Megatron, 1, [A, A, A, B, A, B, B, B])["balance"], one + other, 1e-12);
    }

    [Fact]
    public void Several_losses_stand_side_by_side()
    {
        var all = Megatron with { SequenceBalanceCoefficient = 0.5, GlobalBalanceCoefficient = 0.25, PreviousBatches = 1 };
        var losses = Losses(all, 2, [A, A, A, B, A, A], [1, 1, 1, 1, 0, 0], [1, 3]);
        Assert.Equal(["balance", "sequence_balance", "global_balance", "z"], losses.Keys);
        Assert.Equal([1.125, 1.875, 1], [losses["balance"], losses["sequence_balance"], losses["global_balance"]], (a, b) => Math.Abs(a - b) < 1e-12);
        var none = BuiltIn.Named("hf.llama4");
        foreach (var d in (Dialect[])[none with { SequenceBalanceCoefficient = 1 }, none with { GlobalBalanceCoefficient = 1 }])
            Assert.Contains("unless balance is product", Assert.Throws<DialectException>(() => DialectRules.Check(d)).Message);
    }

    /// <summary>Layer 0 has A and A, layer 1 has B and B: a sequence has one of each, n = 1 1, ΣP = 1 1, and its loss is 1; each layer alone has 1½.</summary>
    [Fact]
    public void A_sequence_of_pooled_layers_has_its_tokens_of_all_of_them()
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        Tensor Layer(double[] token)
        {
            var matrix = tape.Rent(2, 2);
            backend.Write(matrix, [.. token, .. token]);
            return tape.Input(matrix, 1);
        }
        double Loss(BalanceLevel level, params double[][] layers)
        {
            var logits = tape.StackRows([.. layers.Select(Layer)]);
            var call = new RouterCall { Dialect = Mixtral, Groups = 2, Size = layers.Length, Layers = layers.Length, Experts = 2, Training = true };
            Numbers numbers = HostNumbers.Of(tape, logits);
            var plan = new RoutingPlan(2, 1, 1, RoutingPlan.Unlimited, new int[call.Tokens], [.. Enumerable.Range(0, call.Tokens)]);
            LossInputs inputs = new()
            {
                Logits = logits,
                Noisy = logits,
                Scores = tape.Softmax(logits),
                Numbers = new() { Logits = numbers, Noisy = numbers, Scores = numbers },
                Chosen = new() { K = 1, Candidate = plan.Expert, Expert = plan.Expert },
                Handle = plan,
                Gates = logits,
            };
            var loss = ProductLoss.Compute(tape, call, inputs, level);
            tape.Backward(loss);
            return backend.ToDoubles(loss.Value)[0];
        }
        foreach (var level in (BalanceLevel[])[BalanceLevel.Group, BalanceLevel.Sequence, BalanceLevel.Batch])
        {
            Assert.Equal(1, Loss(level, A, B), 1e-12);
            Assert.Equal(1.5, Loss(level, A), 1e-12);
        }
        Assert.Equal(2, Loss(BalanceLevel.SequenceSum, A, B), 1e-12);
    }

    /// <summary>Decoders of transformers, Megatron and DeepSpeed flatten their tokens before the loss; the others take each group alone.</summary>
    [Fact]
    public void Who_flattens_takes_all_tokens_together()
    {
        foreach (var d in BuiltIn.All.Where(d => d.Balance == BalanceLoss.Product))
        {
            var classic = d.Name.StartsWith("hf.switch", StringComparison.Ordinal) || d.Name.StartsWith("hf.nllb", StringComparison.Ordinal);
            var flattens = !classic && d.Name.Split('.')[0] is "hf" or "deepspeed" || d.Name == "megatron.topk";
            Assert.Equal(flattens ? BalanceLevel.Batch : d.Name == "torchtitan.topk" ? BalanceLevel.SequenceSum : BalanceLevel.Group, d.BalanceLevel);
            Assert.Contains("balance_level", d.Parameters);
        }
    }

    /// <summary>A recorded call of several sequences agrees at its own level and departs at the others.</summary>
    [Theory]
    [InlineData("megatron.topk-batch-loss-sequences", BalanceLevel.Batch)]
    [InlineData("megatron.topk-bias-padding", BalanceLevel.Batch)]
    [InlineData("megatron.topk-sequence-loss", BalanceLevel.Sequence)]
    [InlineData("megatron.topk-sequence-loss-bias", BalanceLevel.Sequence)]
    [InlineData("megatron.topk-sequence-loss-padding", BalanceLevel.Sequence)]
    public void Recorded_calls_tell_the_levels_apart(string name, BalanceLevel own)
    {
        var recorded = Case.Load(Path.Combine(AppContext.BaseDirectory, "Oracle", "cases", "megatron-core", $"{name}.safetensors"));
        using var backend = new ScalarBackend<Tracked>();
        foreach (var level in (BalanceLevel[])[BalanceLevel.Batch, BalanceLevel.Sequence, BalanceLevel.SequenceSum])
            Assert.Equal(level == own ? Outcome.Agrees : Outcome.Differs, Balance(recorded.Dialect with { BalanceLevel = level }));
        if (name.EndsWith("loss-padding", StringComparison.Ordinal))
            Assert.Equal(Outcome.Differs, Balance(recorded.Dialect with { BalanceTokens = BalanceTokens.RealOverReal }));

        Outcome Balance(Dialect d) => CaseCheck.Run(recorded.Under(d), backend).Stages.Single(s => s.Stage == "loss.balance").Outcome;
    }

    [Fact]
    public void Earlier_micro_batches_are_no_part_of_a_step_of_training()
    {
        var config = new ModelConfig { Experts = 2, Dialect = Megatron with { BalanceLevel = BalanceLevel.Global, PreviousBatches = 1 } };
        Assert.Contains("previous_batches 1", Assert.Throws<ConfigurationException>(config.Validate).Message);
    }

    [Fact]
    public void Forced_choices_go_round_all_groups()
    {
        var forced = BuiltIn.Named("torchtitan.topk") with { ForceBalance = true, K = 2 };
        var call = new RouterCall { Dialect = forced, Groups = 2, Size = 2, Experts = 3, Training = true };
        Assert.Equal([0, 1, 2, 0, 1, 2, 0, 1], RouterFromScores.Plan(call, new float[12]).Expert);
        Assert.Equal([2, 0, 1, 2, 0, 1, 2, 0], RouterFromScores.Plan(call with { FirstToken = 1 }, new float[12]).Expert);
        var ofTable = BuiltIn.Named("roller.hash") with { ForceBalance = true };
        Assert.Contains("force_balance", Assert.Throws<DialectException>(() => DialectRules.Check(ofTable)).Message);
        Assert.False(call.Dialect.RoutesAlone);
    }
}
